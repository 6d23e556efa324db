"""The parts of a run: its plan, the measurement of images ahead, the fits, the failure of a timestep, the observers."""
