"""The modules that come with the hub: one file, one module, one declaration.

A file's name is its module's name, dashes written as underscores. Files here import only
`beltline.sdk`, so that each of them is an example of what a site's own module looks like.
"""
