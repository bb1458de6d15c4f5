"""The bases of every value that crosses a boundary."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """An immutable value from outside. Unknown members are ignored: AWS adds them without notice."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Strict(BaseModel):
    """An immutable value of our own making, in which an unknown member is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
