"""Pure array functions. They import numpy (or torch) and nothing of ours."""
