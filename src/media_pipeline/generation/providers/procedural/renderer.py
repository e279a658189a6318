"""The renderer process: reads orders, answers with steps, ends with its parent."""

from __future__ import annotations

from media_pipeline.generation.providers.child import serve_orders
from media_pipeline.generation.providers.procedural.render import render
from media_pipeline.generation.providers.procedural.wire import Order

if __name__ == "__main__":
    serve_orders(Order, render, faults=(ArithmeticError, LookupError, MemoryError, RuntimeError, ValueError))
