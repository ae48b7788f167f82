"""Pictures of runs and sweeps: the only part of the package that uses matplotlib, which is imported when it draws.

picture(run, ["z.s"], format="svg")          # bytes
draw(run, ["z.v"], units="0:3").save("v.pdf")
"""

from synsim.pictures.canvas import FORMATS, Picture, format_of
from synsim.pictures.choosing import KINDS
from synsim.pictures.drawing import draw, kind_of, picture, recorded

__all__ = ["FORMATS", "KINDS", "Picture", "draw", "format_of", "kind_of", "picture", "recorded"]
