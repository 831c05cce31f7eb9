"""How good it is: metrics, intervals, calibration, thresholds."""
