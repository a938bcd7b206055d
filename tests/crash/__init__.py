"""The crash campaign: run, promises.py, scenarios.py."""
