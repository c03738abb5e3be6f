"""Small networks under the names of the shipped ones, for tests of everything but what a network learns."""

from pathlib import Path

from tests.conftest import REPOSITORY, write

SMALLER = {
    "gpt2": {"n_embd": 32, "n_head": 2, "n_layer": 1},
    "llama": {
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
    },
    "dcgan_letters": {"width": 8},
    "dcgan_emoji": {"width": 8},
}


def shrink_models(place: Path) -> None:
    """Put configs of small networks into `conf/` of a working directory, where they come before the shipped ones."""
    for name, sizes in SMALLER.items():
        lines = (REPOSITORY / f"conf/model/{name}.yaml").read_text("utf-8").splitlines()
        for key, size in sizes.items():
            found = [number for number, line in enumerate(lines) if line.strip().startswith(f"{key}:")]
            assert found, f"conf/model/{name}.yaml has no {key}"
            for number in found:
                lines[number] = f"{lines[number].partition(':')[0]}: {size}"
        write(place / f"conf/model/{name}.yaml", "\n".join(lines) + "\n")
