"""Tiny shapes of the families of causal language models; their windows are shorter than the documents of the tests."""

from typing import Any

_PLAIN: dict[str, Any] = {
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "hidden_size": 32,
    "intermediate_size": 48,
    "head_dim": 16,
    "initializer_range": 0.2,  # so that attention matters
}
WINDOW = 4

FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": {
        "n_layer": 2,
        "n_head": 2,
        "n_embd": 32,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "initializer_range": 0.2,
    },
    "llama": _PLAIN,
    "qwen3": _PLAIN,
    "gemma3_text": _PLAIN | {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"]},
    "mistral": _PLAIN | {"sliding_window": WINDOW},
    "mixtral": _PLAIN | {"num_local_experts": 4, "num_experts_per_tok": 2},
    "gpt_oss": _PLAIN
    | {
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "sliding_window": WINDOW,
        "layer_types": ["sliding_attention", "full_attention"],
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    },
    "llama4_text": _PLAIN | {"attention_chunk_size": 3, "num_local_experts": 2, "intermediate_size_mlp": 48},
}
WINDOWED = ["gemma3_text", "mistral", "gpt_oss", "llama4_text"]
"""Those with layers that see only a part of what is before a token."""
