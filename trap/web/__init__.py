"""Web pages of the results in a database: ``transients serve``.

The pages are made on the server, and their charts, scripts and styles come with the package: no request leaves the
machine. :mod:`trap.web.app` joins the pages, one module each; :mod:`trap.web.site` is what they share.
"""
