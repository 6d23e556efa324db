from trap.web.kept import Kept


def test_result_is_made_once_for_each_key():
    kept, made = Kept(2), []

    def make(value):
        return lambda: made.append(value) or value

    assert [kept.find(key, make(key)) for key in ("a", "b", "a")] == ["a", "b", "a"]
    assert made == ["a", "b"]


def test_the_result_that_was_not_needed_for_longest_makes_room():
    kept, made = Kept(2), []
    for key in ("a", "b", "a", "c", "a", "b"):
        kept.find(key, lambda key=key: made.append(key) or key)
    assert made == ["a", "b", "c", "b"]
