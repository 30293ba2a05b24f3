"""The tasks that the tiny model is trained on. Read `mix.py` first: it chains them into conversations."""
