"""The same neurons in NEST and Brian2: `install.py` puts both into a virtual environment, `driver.py` runs them there."""
