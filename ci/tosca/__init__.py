"""TOSCA topologies: read, typed, resolved and ordered.

Dialects: ``alien_dsl_3_0_0`` (https://alien4cloud.github.io) and ``tosca_simple_yaml_1_0`` to
``1_3`` (https://docs.oasis-open.org/tosca/TOSCA-Simple-Profile-YAML/). A parser of our own, since
the kept libraries know neither the first dialect nor the place of a value.
"""
