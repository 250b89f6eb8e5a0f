"""What the fixtures are made of: a database server, a clock, closed sockets. No test lives here."""
