"""Use cases: functions (session, call, ...) that read facts, ask the core and write rows. They never commit."""
