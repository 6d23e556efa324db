"""The parts of a run: what it will process, what is measured ahead, how a timestep is attempted, who watches."""
