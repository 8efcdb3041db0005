"""The configuration file: the documented default is the default, and mistakes are named."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from semcache.config import Config, default_config
from semcache.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent


def test_the_documented_file_says_what_an_empty_one_means() -> None:
    written, default = Config.from_file(ROOT / "cache_config.yaml"), default_config()
    for field in dataclasses.fields(Config):
        said, meant = getattr(written, field.name), getattr(default, field.name)
        if field.name == "gptcache":
            blank: dict[str, Any] = {"given": frozenset(), "embedding_config": {}}
            said = dataclasses.replace(said, **blank)
        assert said == meant, field.name


def test_gptcache_s_own_file_is_understood() -> None:
    config = Config.from_mapping(
        {
            "model_source": "onnx",
            "storage_config": {"manager": "sqlite,faiss", "data_dir": "there", "max_size": 7},
            "evaluation": "distance",
            "evaluation_kws": {"max_distance": 4.0},
            "pre_function": "last_content",
            "post_function": "first",
            "config": {"similarity_threshold": 0.9},
        }
    )
    assert config.gptcache.data_dir == Path("there")
    assert config.gptcache.max_entries == 7
    assert config.policy_settings().threshold == pytest.approx(0.8)


def test_the_exact_evaluation_switches_the_semantic_tier_off() -> None:
    assert not Config.from_mapping({"evaluation": "exact"}).policy_settings().semantic


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"storge_config": {}}, "Did you mean 'storage_config'?"),
        ({"polcy": {}}, "Did you mean 'policy'?"),
        ({"policy": {"gaurds": []}}, "Unknown key 'policy.gaurds'. Did you mean 'guards'?"),
        ({"storage_config": {"data_dri": "x"}}, "did you mean 'storage_config.data_dir'?"),
        ({"engines": ["cga"]}, "Unknown engine 'cga'"),
        ({"engines": "cag"}, "'engines' must be a list"),
        ({"engines": ["cag", "cag"]}, "names an engine twice"),
        ({"engines": ["upstream"]}, "set 'upstream.base_url' too"),
        ({"policy": {"guards": ["magic"]}}, "Unknown guard 'magic'"),
        ({"store": {"synchronous": "OFF"}}, "one of FULL, NORMAL"),
        ({"policy": {"volatile": "never"}}, "must be one of ttl, bypass, off, not 'never'"),
        ({"policy": {"personal": True}}, "must be one of user, tenant, bypass, off, not True"),
        ({"policy": {"volatile_ttl_s": 0}}, "'policy.volatile_ttl_s' must be more than 0"),
        ({"cag": {"max_tokens": 0}}, "'cag.max_tokens' must be at least 1"),
        ({"embedding": "openai"}, "'embedding: 'openai'' is not available"),
    ],
)
def test_mistakes_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Config.from_mapping(values)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not valid YAML"),
        ("- 1", "must hold keys and values"),
        ("x: !!python/object/apply:os.system [true]", "is not valid YAML"),
    ],
)
def test_a_bad_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        Config.from_file(path)
    with pytest.raises(ConfigError, match="Cannot read"):
        Config.from_file(tmp_path / "none.yaml")


def test_a_bare_off_in_yaml_is_off(tmp_path: Path) -> None:
    path = tmp_path / "cache_config.yaml"
    path.write_text("policy:\n  volatile: off\n  personal: off\n", encoding="utf-8")
    settings = Config.from_file(path).policy_settings()
    assert (settings.volatile, settings.personal) == ("off", "off")


def test_changing_and_personal_answers_are_bounded_by_default() -> None:
    settings = Config.from_mapping({}).policy_settings()
    assert (settings.volatile, settings.volatile_ttl_s, settings.personal) == ("ttl", 300, "user")


def test_the_command_line_overrides_the_file() -> None:
    config = default_config().with_overrides(
        data_dir=Path("d"), knowledge=Path("k"), host="h", port=1, log_level="info"
    )
    assert config.gptcache.data_dir == Path("d")
    assert config.cag.knowledge == Path("k")
    assert (config.server.host, config.server.port, config.server.log_level) == ("h", 1, "info")
    assert default_config().with_overrides() == default_config()


def test_openai_goes_behind_the_other_engines() -> None:
    config = default_config().with_openai()
    assert config.engines == ("cag", "upstream")
    assert config.upstream.base_url == "https://api.openai.com/v1"
    own = Config.from_mapping({"engines": ["upstream"], "upstream": {"base_url": "http://h/v1"}})
    assert own.with_openai() == own


def test_fallbacks_are_a_list_of_sections() -> None:
    upstream = {"base_url": "http://a/v1", "fallbacks": [{"base_url": "http://b/v1", "model": "x"}]}
    read = Config.from_mapping({"upstream": upstream}).upstream.fallbacks
    assert [(one.base_url, one.api_key_env, one.model) for one in read] == [
        ("http://b/v1", "OPENAI_API_KEY", "x")
    ]
    for wrong, says in (
        ("http://b/v1", "list of sections"),
        (["http://b/v1"], "list of sections"),
        ([{"model": "x"}], r"fallbacks\[0\]' is incomplete"),
        ([{"base_url": "http://b/v1", "modle": "x"}], r"fallbacks\[0\]\.modle"),
    ):
        with pytest.raises(ConfigError, match=says):
            Config.from_mapping({"upstream": {"fallbacks": wrong}})


def test_the_configuration_for_vllm_is_read() -> None:
    root = Path(__file__).resolve().parent.parent
    config = Config.from_file(root / "server" / "vllm" / "cache_config.yaml")
    assert config.engines == ("upstream",)
    assert config.upstream.knowledge
    compose = yaml.safe_load((root / "server" / "vllm" / "compose.yaml").read_text())
    assert config.upstream.base_url == "http://vllm:8000/v1"
    mounted = [
        volume.rsplit(":", 1)[0] for volume in compose["services"]["semcache"]["volumes"][:2]
    ]
    assert [one.rsplit(":", 1)[-1] for one in mounted] == ["/config.yaml", "/documents"]
    assert str(config.cag.knowledge) == "/documents"
