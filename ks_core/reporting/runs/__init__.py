"""Two stored runs compared: benchmarks as pytest-benchmark saves them, or what was measured of science.

`ks_core.comparing` is about two models; here nothing is computed but the difference of two files.
"""
