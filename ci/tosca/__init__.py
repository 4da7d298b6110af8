"""TOSCA topologies: read, typed, resolved and ordered.

Dialects: ``alien_dsl_3_0_0`` (https://alien4cloud.github.io) and ``tosca_simple_yaml_1_0`` to
``1_3`` (https://docs.oasis-open.org/tosca/TOSCA-Simple-Profile-YAML/).

A parser of our own, and not ``tosca-parser`` (2.15.0, OpenStack's): it refuses ``alien_dsl_3_0_0``
and ``1_1``, and imports of the form ``<package>:<version>``, which all topologies of the public
registry have; its errors name a file but neither line nor column; it opens the files, and fetches
the URLs, that a topology imports. It takes 0.3 to 0.5 s and 400 modules to import, which is all the
time that ``waas validate`` may take to start, and brings 20 more packages.
"""
