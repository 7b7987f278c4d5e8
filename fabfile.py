"""Hands the same namespace to fab."""

from tasks import namespace

namespace.configure({"silverlining_under_fab": True})

__all__ = ["namespace"]
