"""Settings are read strictly: what can't be meant is refused, all of it at once."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from scheduler.config import FaultySettings, Settings, variable


def faults(**environ: str) -> dict[str, str]:
    with pytest.raises(FaultySettings) as caught:
        Settings.from_environ({f"SCHEDULER_{key.upper()}": value for key, value in environ.items()})
    return {key.removeprefix("SCHEDULER_").lower(): why for key, why in caught.value.faults.items()}


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_environ({}) == Settings()


def test_an_empty_variable_leaves_the_default() -> None:
    assert Settings.from_environ({variable(setting): "" for setting in fields(Settings)}) == Settings()


def test_the_process_environment_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_WORKER_BATCH", "7")
    assert Settings.from_environ().worker_batch == 7


def test_values_arrive_with_their_types() -> None:
    found = Settings.from_environ(
        {
            "SCHEDULER_DATABASE_URL": "postgres://u:p@db/regimen",
            "SCHEDULER_EMAIL_CHANNEL": "smtp",
            "SCHEDULER_SMTP_HOST": "mail.example.org",
            "SCHEDULER_SMTP_FROM": "desk@example.org",
            "SCHEDULER_SMTP_STARTTLS": "No",
            "SCHEDULER_CORS_ORIGINS": "https://desk.example.org, http://localhost:3000",
            "SCHEDULER_TRUSTED_PROXIES": "2",
            "SOMETHING_ELSE": "x",
        }
    )
    assert found.database_url == "postgresql://u:p@db/regimen"
    assert (found.smtp_starttls, found.smtp_port, found.trusted_proxies) == (False, 587, 2)
    assert found.cors_origins == ("https://desk.example.org", "http://localhost:3000")


def test_every_faulty_variable_is_named_at_once() -> None:
    found = faults(worker_batch="many", log_level="LOUD", smtp_starttls="perhaps", cors_origins="*", plan_minutes="0")
    assert found.keys() == {"worker_batch", "log_level", "smtp_starttls", "cors_origins", "plan_minutes"}
    assert found["worker_batch"] == "must be a whole number from 1 to 10000"


def test_the_error_reads_well() -> None:
    with pytest.raises(FaultySettings) as caught:
        Settings.from_environ({"SCHEDULER_LOG_LEVEL": "LOUD", "SCHEDULER_DATABASE_URL": "mysql://x"})
    assert str(caught.value) == (
        "faulty settings in the environment:\n"
        "  SCHEDULER_DATABASE_URL: must begin with sqlite:// or postgresql://\n"
        "  SCHEDULER_LOG_LEVEL: must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL"
    )


@pytest.mark.parametrize("raw", ["-1", "1_0", " 5", "5.0", "0x5", "\N{ARABIC-INDIC DIGIT FIVE}", "100000", "9" * 5000])
def test_a_number_is_written_in_plain_digits_and_in_range(raw: str) -> None:
    assert faults(worker_batch=raw).keys() == {"worker_batch"}


@pytest.mark.parametrize(
    "raw", ["*", "desk.example.org", "https://desk.example.org/", "ftp://x", "https://", "https://a,", "https://a?b"]
)
def test_an_origin_is_a_scheme_and_a_host(raw: str) -> None:
    assert faults(cors_origins=raw).keys() == {"cors_origins"}


def test_a_channel_says_what_it_needs() -> None:
    assert faults(email_channel="smtp").keys() == {"smtp_host", "smtp_from"}
    assert faults(sms_channel="http") == {"sms_http_url": "is needed by the chosen channel"}
    assert faults(sms_channel="http", sms_http_url="gateway") == {
        "sms_http_url": "must be an http:// or https:// address"
    }


def test_a_misspelled_variable_is_named_and_a_foreign_one_is_let_be() -> None:
    assert faults(email_chanel="smtp") == {"email_chanel": "is not a setting; SCHEDULER_EMAIL_CHANNEL is"}
    injected = {
        "SCHEDULER_SERVICE_HOST": "10.0.0.1",
        "SCHEDULER_PORT": "tcp://10.0.0.1:80",
        "SCHEDULER_PORT_80_TCP": "",
    }
    assert Settings.from_environ(injected) == Settings()


def test_secrets_stay_out_of_the_repr() -> None:
    text = repr(Settings(database_url="postgresql://u:hush@db/x", smtp_password="hush", sms_http_token="hush"))
    assert "hush" not in text
    assert "worker_batch=200" in text


def test_a_relative_sqlite_path_starts_at_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings().database_url == f"sqlite:///{tmp_path}/var/regimen.db"
    assert Settings(database_url="sqlite:///x.db?timeout=5").database_url == f"sqlite:///{tmp_path}/x.db?timeout=5"


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "sqlite:////data/x.db", "sqlite:///file:x?uri=true", "postgresql:///x"]
)
def test_other_addresses_stay_as_they_are(url: str) -> None:
    assert Settings(database_url=url).database_url == url


def test_settings_do_not_change() -> None:
    with pytest.raises(AttributeError):
        Settings().worker_batch = 1  # type: ignore[misc]
