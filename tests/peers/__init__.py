"""The same neurons in NEST and Brian2: `install.py` makes an environment with both, `driver.py` runs them in it."""
