"""The cast that most tests begin with is what the product itself would have made."""

from accounts.closures import refresh, speaks_as
from accounts.models import OU, OUClosure, Principal, PrincipalClosure, User
from tests.world import PASSWORD, World, make_world


def test_everybody_speaks_for_whom_the_product_says(world: World) -> None:
    users = list(User.objects.values_list("id", flat=True))
    held = sorted(PrincipalClosure.objects.filter(member_id__in=users).values_list("member_id", "principal_id"))
    assert held == sorted((user, other) for user, others in speaks_as(users).items() for other in others)
    before = PrincipalClosure.objects.count()
    refresh(users)
    assert PrincipalClosure.objects.count() == before


def test_every_place_lies_in_those_above_it(world: World) -> None:
    for ou in OU.objects.all():
        above = set(OUClosure.objects.filter(descendant=ou).values_list("ancestor__path", flat=True))
        assert above == {other.path for other in OU.objects.all() if ou.path.startswith(other.path)}
        assert Principal.objects.get(pk=ou.id).ref == f"ou:{ou.path.rstrip('/')}"


def test_everybody_can_sign_in(world: World) -> None:
    assert all(user.check_password(PASSWORD) for user in User.objects.all())


def test_it_costs_few_statements(db: None, django_assert_max_num_queries: object) -> None:
    with django_assert_max_num_queries(10):  # type: ignore[operator]  # the plugin's fixture has no type
        make_world()
