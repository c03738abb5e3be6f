"""The secrets here are made up."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.files.secrets import REDACTED, redact, redact_arguments, redact_code, redact_mapping, redact_yaml

HEX = "0123456789abcdef0123456789abcdef01234567"
SHAPES = [
    "hf_" + "aB3dE6gH9jK2mN5pQ8sT1vW4",
    "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4",
    "github_pat_" + "11ABCDEFG0_aB3dE6gH9jK2mN5pQ8sT1vW4",
    "sk-" + "proj-aB3dE6gH9jK2mN5pQ8sT1vW4",
    "AKIA" + "ABCDEFGHIJKLMNOP",
]
SECRET_KEYS = [
    *("token", "hf_token", "HF_TOKEN", "hfToken", "auth-token", "logger.wandb.token", "access_token", "HF_TOKEN_2"),
    *("password", "db_password", "secret", "client_secret", "api_key", "apikey", "API_KEY", "apiKey", "OPENAI_API_KEY"),
    *("aws_secret_access_key", "logger.wandb.api_key", "token_secret"),
]
PLAIN_KEYS = [
    *("tokens", "tokenizer", "tokenizer_name", "pad_token", "eos_token", "bos_token_id", "eos_token_id", "token_id"),
    *("max_new_tokens", "num_tokens", "tokens_per_batch", "additional_special_tokens", "token_type_ids", "image_token"),
    *("password_file", "api_key_env", "key", "monitor_key", "decoder_start_token", "clean_up_tokenization_spaces"),
    *("secretary", "keyboard", "data.tokenizer.vocab_size", "per_token"),
]


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_value_of_a_secret_key_is_replaced(key: str) -> None:
    assert redact(f"{key}=Tr0ub4dor") == f"{key}={REDACTED}"
    assert redact(f"++{key}='a, b'") == f"++{key}={REDACTED}"
    assert redact(f"  {key}: Tr0ub4dor") == f"  {key}: {REDACTED}"
    assert redact(f"run aigc with {key}=Tr0ub4dor, then") == f"run aigc with {key}={REDACTED}, then"
    assert "Tr0ub4dor" not in redact(f"model.options={{{key.rpartition('.')[2]}: Tr0ub4dor, x: 1}}")
    assert redact_mapping({"a": {key: "Tr0ub4dor"}}) == {"a": {key: REDACTED}}
    assert redact_arguments(["aigc", f"--{key}", "Tr0ub4dor", "x"]) == ["aigc", f"--{key}", REDACTED, "x"]
    assert redact_arguments([f"+{key}=Tr0ub4dor"]) == [f"+{key}={REDACTED}"]


@pytest.mark.parametrize("key", PLAIN_KEYS)
def test_value_of_a_plain_key_stays(key: str) -> None:
    for text in (f"{key}=value", f"  {key}: value", f"x={{{key}: value}}"):
        assert redact(text) == text
    assert redact_mapping({key: "value"}) == {key: "value"}
    assert redact_arguments([f"--{key}", "value"]) == [f"--{key}", "value"]


@pytest.mark.parametrize(
    "text",
    [
        "hf_token=${oc.env:HF_TOKEN}",
        "password: null",
        "api_key: ???",
        "use_auth_token: true",
        "token: <pad>",
        "my_token: '[MASK]'",
        "token: 5",
        f"sha: {HEX}",
        f"git+https://github.com/wandb/wandb@{HEX}",
        "from huggingface_hub import hf_hub_download_from_somewhere_else",
        "sk-learn-model-with-a-very-long-name-2026",
        "task-0123456789abcdef0123456789",
        "https://host:8080/path@here",
        "ssh://git@github.com/a/b",
        "lr=1e-3",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("secret", SHAPES)
def test_a_secret_is_known_by_its_shape(secret: str) -> None:
    for clean in (redact(f"see {secret}!"), redact_code(f'+x = f("{secret}")'), str(redact_mapping({"x": [secret]}))):
        assert secret not in clean
        assert REDACTED in clean


def test_wandb_key_is_known_by_its_neighbour() -> None:
    assert redact(f"wandb login {HEX}") == f"wandb login {REDACTED}"
    assert redact(f"wandb.key={HEX}") == f"wandb.key={REDACTED}"
    assert redact_mapping({"wandb": {"k": HEX}, "sha": HEX}) == {"wandb": {"k": REDACTED}, "sha": HEX}


def test_password_in_a_url() -> None:
    assert redact("git+https://me:pa55@host/x") == f"git+https://{REDACTED}@host/x"
    assert redact_mapping({"proxy": "http://me:pa55@host:80"}) == {"proxy": f"http://{REDACTED}@host:80"}
    assert "pa55" not in redact("https://host/x?access_token=pa55&y=1")


def test_program_code_is_left_alone_but_for_literals() -> None:
    code = "\n".join(
        [
            "+    token = tokenizer.encode(text)[0]",
            "+def f(token: str, password: str | None = None) -> None:",
            "+    if token == 'eos': token_count += 1",
            "+    pad_token = '<pad>'",
            "+    token = 'the'",
            "+    api_key = os.environ['API_KEY']",
        ]
    )
    assert redact_code(code) == code
    assert redact_code('+password = "hunter2"') == f'+password = "{REDACTED}"'
    assert redact_code("+hf_token: 0123456789abcdef") == f"+hf_token: {REDACTED}"


def test_yaml_without_secrets_is_unchanged_to_the_letter() -> None:
    text = "lr: 1e-3  # small\nname:   诗\npad_token: <pad>\nkey: ${oc.env:API_KEY}\nlist: [1, 2]\n"
    assert redact_yaml(text) == text


def test_yaml_in_every_notation() -> None:
    text = "\n".join(
        [
            "a:",
            "  password: |\n    pa55\n    word",
            "  api_key: >-\n    pa55",
            "  secrets: [pa55, pa55]",
            "  x: {token: pa55}",
            "lr: 0.1",
        ]
    )
    clean = redact_yaml(text)
    assert "pa55" not in clean
    assert clean.count(REDACTED) == 5
    assert "lr: 0.1" in clean


@given(st.text(max_size=60), st.sampled_from(SHAPES), st.text(max_size=60))
@settings(deadline=None)
def test_a_known_shape_never_survives(before: str, secret: str, after: str) -> None:
    # A letter that touches it makes it another word.
    assert secret not in redact(f"{before} {secret} {after}")


@given(st.text(alphabet="abktoenps_=:{},'\" \n.wrd", max_size=80))
@settings(deadline=None)
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@given(
    st.dictionaries(st.sampled_from(PLAIN_KEYS), st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans()))
)
def test_numbers_of_a_config_never_change(config: dict[str, object]) -> None:
    assert redact_mapping(config) == config
