"""What shipped choices leave to the user: the overrides without which their configs are not complete."""

NEEDS = {
    "data=text": ["data.path=mine.txt"],
    "data=streamed": ["data.path=mine.txt"],
    "data=images": ["data.path=mine"],
    "model=pretrained": ["model.path=somewhere"],
    "adapter=": ["experiment=lm/finetune", "data.path=mine.jsonl", "model.path=somewhere"],
    "sweep=list": ["sweep.path=trials.txt"],
    "experiment=gan/images": ["data.path=mine"],
    "experiment=lm/text": ["data.path=mine.txt"],
    "experiment=lm/finetune": ["data.path=mine.txt", "model.path=somewhere"],
    "experiment=lm/continue": ["data.path=mine.txt", "model.path=somewhere"],
    "experiment=lm/lora": ["model.path=somewhere"],
}


def needs(choice: str) -> list[str]:
    """Return the overrides that a choice needs, `experiment=lm/text` for example."""
    return NEEDS.get(choice) or NEEDS.get(f"{choice.partition('=')[0]}=", [])
