"""cloudlet: one file becomes a running, balanced system.

Kept empty of imports: the keeper, which must start in milliseconds, lives inside this package.
"""

__version__ = "0.1.0"
