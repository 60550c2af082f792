"""YAML as people mean it: `1e-4` is a number, `no` is a word, a key stands once."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tunescope.errors import StudyError

_MAX_VALUES = 1_000_000


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2 and without duplicate keys."""


_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^(?:<<)$"), ["<"])


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))


def _construct_mapping(loader: _Loader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: dict[str, int] = {}
    for key_node, _ in node.value:
        if isinstance(key_node, yaml.ScalarNode) and key_node.tag != "tag:yaml.org,2002:merge":
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None,
                    None,
                    f"key '{key_node.value}' stands twice (first on line {seen[key_node.value]})",
                    key_node.start_mark,
                )
            seen[key_node.value] = key_node.start_mark.line + 1
    loader.flatten_mapping(node)
    return yaml.constructor.BaseConstructor.construct_mapping(loader, node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)


def parse_yaml(text: str, where: str) -> Any:
    """The value of a YAML text.

    Raises:
        StudyError: If it is not YAML, a key stands twice, or aliases make far too much of it; names the line.
    """
    try:
        value = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise StudyError(
            [f"{where}{line}: not YAML: {error.problem or error.context}. Check indentation, quotes and colons."]
        ) from error
    except yaml.YAMLError as error:
        raise StudyError([f"{where}: not YAML: {error}"]) from error
    except (RecursionError, ValueError) as error:
        raise StudyError([f"{where}: a value cannot be read: {error}"]) from error
    if (num_values := _num_values(value, {})) > _MAX_VALUES:
        raise StudyError(
            [f"{where}: its aliases (*name) unfold into {num_values:.1g} values, {_MAX_VALUES:,} at most are read"]
        )
    return _unshared(value)


def _unshared(value: Any) -> Any:
    """The same tree with a copy of its own wherever an alias stands, so that changing one place changes no other."""
    if isinstance(value, dict):
        return {key: _unshared(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_unshared(one) for one in value]
    return value


def _num_values(value: Any, known: dict[int, int]) -> int:
    """Values in a tree, those under an alias as often as it stands; each is looked at once."""
    if not isinstance(value, list | dict):
        return 1
    if id(value) not in known:
        known[id(value)] = 1 + sum(
            _num_values(one, known) for one in (value.values() if isinstance(value, dict) else value)
        )
    return known[id(value)]
