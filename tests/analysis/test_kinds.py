from __future__ import annotations

# ruff: noqa: E501
import pytest

from feedback_loop.analysis.kinds import Kind, classify


@pytest.mark.parametrize(
    "text",
    ["", "  ", ".", "-", "???", "n/a", "N/A.", "ok", "OK!", "none", "No comment.", "nothing", "Nothing to add", "I don't know",
     "don’t know", "5", "10/10", "7 out of 10", "100%", "★★★★★", "👍", "❤️❤️", "😡", "five stars", "1 star", "asdf jkl", "jkl;jkl;", "No comment at this time", "I'd rather not say",
     "no reason in particular", "fällt mir nichts ein", "aucune idée", "nada en especial", "non saprei", "niks bijzonders", "brak", "asdfgh", "lkjhgf", "xxxx", "aaaaaaa", "sdkfjh", "blabla",
     "[email]", "[phone] [email]", "No, nothing", "keine Angabe", "weiß nicht", "k.A.", "R.A.S.", "rien à signaler",
     "no sé", "sin comentarios", "non lo so", "niente da dire", "geen opmerkingen", "weet ik niet", "Não sei", "nada a dizer"],
)  # fmt: skip
@pytest.mark.parametrize("low", [True, False, None])
def test_non_answers_are_known(text: str, low: bool | None) -> None:
    assert classify(text, low) is Kind.NON_ANSWER


@pytest.mark.parametrize(
    "text",
    ["great", "Great!", "love it", "Thank you, quick and friendly", "Very good service", "The staff were lovely and helpful",
     "No problems at all, everything was great", "Best app ever", "It works perfectly", "Couldn't be better",
     "Schneller und freundlicher Service, danke!", "Alles bestens, keine Probleme", "Très bien, merci",
     "Muy buena atención, gracias", "Ottimo servizio, tutto perfetto", "Goede service, bedankt",
     "Ótimo atendimento, muito obrigado", "Never had a problem, will order again", "Made my day!", "Can't fault it",
     "Clear and quick", "Worth every penny", "Schnell geliefert, gut verpackt, gerne wieder", "Immer freundlich und hilfsbereit",
     "Je recommande vivement", "Llegó antes de lo previsto", "Tutto come descritto", "Op tijd en netjes verpakt", "Nota mil"],
)  # fmt: skip
def test_plain_praise_is_known(text: str) -> None:
    assert classify(text, None) is Kind.PRAISE
    assert classify(text, False) is Kind.PRAISE


@pytest.mark.parametrize(
    "text",
    ["great, third time this week", "not ok", "not good", "thanks for nothing", "Good but slow", "late", "broken", "rude staff",
     "refund", "The app is great except login", "could be better", "nicht gut", "zu teuer", "pas terrible", "lento",
     "Great product, arrived damaged", "Thank you for ignoring me", "My top up is gone", "Why is it so good at failing",
     "How do I change my address?", "Is this great?", "Great 😡", "login", "fast but the food was cold", "It'd be great to pay later", "would be nice to have a map",
     "My top up is pending", "The top-up was reversed", "nice try", "Bon produit, livraison interminable", "Good prices, delivery took ages",
     "Schön wäre ein Nachtmodus", "Gut gemeint", "gracias por nada", "Sarebbe bello avere più posti", "Leuk idee, werkt niet",
     "Bom hotel, fila enorme", "Is the card good for travel", "I'd love a bigger size", "Great kit, zip broke"],
)  # fmt: skip
@pytest.mark.parametrize("low", [True, False, None])
def test_whatever_is_in_doubt_is_a_problem(text: str, low: bool | None) -> None:
    assert classify(text, low) is Kind.PROBLEM


@pytest.mark.parametrize(
    "text", ["Great.", "Brilliant service, well done", "Thanks a lot", "Super, danke", "Merci beaucoup"]
)
def test_praise_with_a_low_score_is_taken_for_irony(text: str) -> None:
    assert classify(text, None) is Kind.PRAISE
    assert classify(text, True) is Kind.PROBLEM


@pytest.mark.parametrize(
    "text",
    ["Fantastic service, came the next day.", "I was nervous at first, it turned out perfectly", "My whole family shops here now. Keep it up.",
     "Tolles Zelt, in fünf Minuten aufgebaut. Wir sind begeistert.", "Livraison rapide et matériel de qualité, je recommande."],
)  # fmt: skip
def test_a_good_score_vouches_for_praise_that_tells_more(text: str) -> None:
    assert classify(text, False) is Kind.PRAISE


def test_a_long_text_is_a_problem() -> None:
    assert classify("great " * 200, None) is Kind.PROBLEM
