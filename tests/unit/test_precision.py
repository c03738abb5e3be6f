"""In what numbers a CPU is trained on where nothing is said."""

import pytest

from aigc.launch.trainer import cpu_is_faster_in_bf16, resolve_precision


@pytest.mark.parametrize(
    ("described", "faster"),
    [
        ("vendor_id : GenuineIntel\nflags : avx512f avx512_bf16 amx_bf16 amx_tile", True),
        ("vendor_id : GenuineIntel\nflags : avx512f avx512_bf16 avx512_fp16", False),
        ("vendor_id : AuthenticAMD\nflags : avx512f avx512_bf16", True),
        ("vendor_id : AuthenticAMD\nflags : avx2", False),
        ("", False),
    ],
)
def test_bfloat16_is_taken_where_it_is_faster(described, faster):
    assert cpu_is_faster_in_bf16(described) is faster


def test_what_is_said_is_taken():
    assert resolve_precision("bf16-mixed", "cpu") == "bf16-mixed"
    assert resolve_precision("auto", "cpu") in {"32-true", "bf16-mixed"}
