"""Charts of the pages: figures of Bokeh as functions of columns, which ``static/charts.js`` embeds.

Every chart is a :class:`~trap.web.charts.style.Chart`. No chart holds a script of its own, since the pages forbid it.
"""
