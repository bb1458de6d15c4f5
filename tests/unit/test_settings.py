import pytest

from replicator.errors import ErrorCode, PermanentError
from replicator.settings import IntakeSettings

GOOD = {
    "HUB_ACCOUNT": "999999999999",
    "LEDGER_TABLE": "ledger",
    "SPOKES_TABLE": "spokes",
    "SPOKE_ACCOUNTS": "111111111111, 222222222222",
    "STATE_MACHINE_ARN": "arn",
    "INTAKE_QUEUE_URL": "https://queue",
    "DEAD_LETTER_QUEUE_URL": "https://queue",
    "RUNS_PER_SPOKE": "25",
    "MAX_RECEIVES": "6",
    "PATH": "/bin",
}


def test_settings_are_read_from_the_environment() -> None:
    settings = IntakeSettings.from_environment(GOOD)
    assert settings.spoke_accounts == {"111111111111", "222222222222"}


def test_no_accounts_means_the_organization_admits() -> None:
    assert IntakeSettings.from_environment(GOOD | {"SPOKE_ACCOUNTS": ""}).spoke_accounts == frozenset()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"HUB_ACCOUNT": "1"}, "HUB_ACCOUNT"),
        ({"LEDGER_TABLE": ""}, "LEDGER_TABLE"),
        ({"SPOKE_ACCOUNTS": "x"}, "SPOKE_ACCOUNTS"),
        ({"RUNS_PER_SPOKE": "0"}, "RUNS_PER_SPOKE"),
    ],
)
def test_a_wrong_variable_is_named(changes: dict[str, str], named: str) -> None:
    with pytest.raises(PermanentError, match=named) as caught:
        IntakeSettings.from_environment(GOOD | changes)
    assert caught.value.code is ErrorCode.CONFIGURATION


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(PermanentError, match="STATE_MACHINE_ARN: Field required"):
        IntakeSettings.from_environment({k: v for k, v in GOOD.items() if k != "STATE_MACHINE_ARN"})
