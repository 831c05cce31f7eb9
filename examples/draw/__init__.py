"""Drawn stand-ins for photographs of two products, in the MVTec AD layout, with a mask for every defect.

They belong to nobody, so tests and the demonstration may use and pass them on. Their light varies more than their
defects do: the colour of a whole image does not give the defect away.
"""

from examples.draw.product import PRODUCTS
from examples.draw.writer import draw

__all__ = ["PRODUCTS", "draw"]
