"""The mistakes in configurations that tests make by hand are many, and each is another one."""

from tests.unit import test_config_keys, test_config_names, test_config_values

TABLES = (test_config_keys.MISTAKES, test_config_names.MISTAKES, test_config_values.MISTAKES)


def test_sixty_mistakes_are_named_with_file_key_and_fix() -> None:
    """Each of them is a test of its own in its file; `assert_named` asks for all three."""
    names = [name for table in TABLES for name in table]
    assert len(set(names)) == len(names) >= 60
    reported = [(mistake[3], tuple(mistake[4])) for table in TABLES for mistake in table.values()]
    assert len(set(reported)) >= 60
