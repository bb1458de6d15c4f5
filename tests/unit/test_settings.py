import pytest
from pydantic import TypeAdapter, ValidationError

from replicator.errors import ErrorCode, PermanentError
from replicator.settings import Aliases, IntakeSettings

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
        (
            {"HUB_ACCOUNT": "\u0669\u0669\u0669\u0669\u0669\u0669\u0669\u0669\u0669\u0669\u0669\u0669"},
            "HUB_ACCOUNT",
        ),
        (
            {"SPOKE_ACCOUNTS": "\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661"},
            "SPOKE_ACCOUNTS",
        ),
    ],
)
def test_a_wrong_variable_is_named(changes: dict[str, str], named: str) -> None:
    with pytest.raises(PermanentError, match=named) as caught:
        IntakeSettings.from_environment(GOOD | changes)
    assert caught.value.code is ErrorCode.CONFIGURATION


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(PermanentError, match="STATE_MACHINE_ARN: Field required"):
        IntakeSettings.from_environment({k: v for k, v in GOOD.items() if k != "STATE_MACHINE_ARN"})


def test_aliases_are_pairs_of_account_and_alias() -> None:
    aliases = TypeAdapter(Aliases)
    found = aliases.validate_python("111111111111=risk, 222222222222=team-b")
    assert found == {"111111111111": "risk", "222222222222": "team-b"}
    assert aliases.validate_python("") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("111111111111=a,222222222222=a", "alias of more than one account"),
        ("111111111111=222222222222", "looks like an account"),
        ("111111111111=a,111111111111=b", "more than one alias"),
        ("111111111111=a,risk", "is not <account>=<alias>"),
        ("111111111111=", "cannot be part"),
        ("111111111111=a/b", "cannot be part"),
        ("111111111111=a-", "cannot be part"),
        ("risk=a", "pattern"),
    ],
)
def test_an_alias_that_hides_which_spoke_it_is_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TypeAdapter(Aliases).validate_python(text)
