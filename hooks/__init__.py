"""Everything that acts: forges, inbox, dispatch, sites, executions, web and command line."""
