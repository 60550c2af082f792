"""The kinds of value a user writes: frozen records that refuse unknown keys, and names that are safe as file names."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


class Frozen(BaseModel):
    """A record that a user writes: immutable, typed strictly enough, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        str_strip_whitespace=False,
    )

    @model_validator(mode="before")
    @classmethod
    def _true_is_no_number(cls, values: Any) -> Any:
        """Python takes true for 1; in a study it is a slip."""
        if isinstance(values, dict):
            for name, value in values.items():
                field = cls.model_fields.get(name)
                if (
                    isinstance(value, bool)
                    and field is not None
                    and "bool" not in str(field.annotation)
                    and "Any" not in str(field.annotation)
                ):
                    raise ValueError(f"'{name}' must not be {str(value).lower()}")
        return values


def _no_dots(name: str) -> str:
    if ".." in name:
        raise ValueError("must not contain '..'")
    return name


Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"), AfterValidator(_no_dots)]
"""A name that is also a file name: letters, digits, '.', '_' and '-', at most 64 of them, and no '..'."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]
"""A share of a whole, 0 to 1."""

Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
"""A number of things, one or more."""
