"""Alias of `aigc.launch.clusters.exit_notes`: batch scripts that an earlier version queued call it by this name."""

from aigc.launch.clusters.exit_notes import main

if __name__ == "__main__":
    main()
