"""Parts that pages are made of: tags, icons, buttons, places for trouble, dialogs, picture tiles."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from nicegui.elements.mixins.text_element import TextElement

from pictura.web.told import Image

ICONS = "/static/icons.svg"
Kind = Literal["plain", "main", "quiet", "danger"]
Action = Callable[[], Awaitable[None] | None]


class Tag(TextElement):
    """An element of plain HTML with a text in it; whatever stands in the text is shown, not run."""

    def __init__(self, name: str, /, text: str = "", classes: str = "", **attributes: Any) -> None:
        """Make it.

        Args:
            name: of the tag.
            text: that it holds.
            classes: parted by blanks.
            attributes: ``aria_label`` becomes ``aria-label``, ``for_`` becomes ``for``; None is left out.
        """
        super().__init__(tag=name, text=text)
        if classes:
            self.classes(classes)
        self.put(**attributes)

    def put(self, **attributes: Any) -> "Tag":
        """Set attributes, or take away those that are None."""
        for name, value in attributes.items():
            self.props.set_optional(name.rstrip("_").replace("_", "-"), value)
        return self


class Trouble(Tag):
    """A line that says what went wrong, where it happened; there is none while all is well."""

    def __init__(self) -> None:
        """Make it, empty."""
        super().__init__("p", "", "trouble", role="alert")
        self.put(hidden=True)

    def say(self, sentence: str) -> None:
        """Show a sentence."""
        self.text = sentence
        self.put(hidden=None)

    def clear_up(self) -> None:
        """Show nothing."""
        if self.text:
            self.text = ""
            self.put(hidden=True)


class Dialog(Tag):
    """A dialog of the browser's own: it holds the focus, Esc closes it. Build its content inside `with`."""

    def __init__(self, title: str, classes: str = "") -> None:
        """Make it, closed."""
        super().__init__("dialog", "", f"dialog {classes}", aria_label=title)
        with self, Tag("div", classes="dialog-head"):
            Tag("h2", title)
            button("Close", self.close, icon="close", kind="quiet", hide_label=True)

    def open(self) -> None:
        """Show it."""
        self.client.run_javascript(f"document.getElementById('{self.html_id}').showModal()")

    def close(self) -> None:
        """Put it away."""
        self.client.run_javascript(f"document.getElementById('{self.html_id}').close()")


def icon(name: str) -> Tag:
    """A small drawing of `static/icons.svg`, in the colour of the text around it; readers do not hear it."""
    found = Tag("svg", classes="icon", aria_hidden="true", focusable="false")
    with found:
        Tag("use", href=f"{ICONS}#{name}")
    return found


def button(
    label: str,
    on_click: Action | None = None,
    *,
    icon: str | None = None,
    kind: Kind = "plain",
    hide_label: bool = False,
    **attributes: Any,
) -> Tag:
    """A button.

    Args:
        label: what it does; readers hear it in any case.
        on_click: called when it is pressed.
        icon: a name in `static/icons.svg`.
        kind: main stands once on a page; quiet has no border; danger takes something away.
        hide_label: show the icon alone.
        attributes: more of HTML, as `Tag` takes them.
    """
    found = Tag("button", classes=f"button {kind}" + (" bare" if hide_label else ""), type="button")
    with found:
        if icon is not None:
            _icon(icon)
        if not hide_label:
            Tag("span", label)
    hint = {"aria_label": label, "title": label} if hide_label else {}
    found.put(**{**hint, **attributes})
    if on_click is not None:
        found.on("click", on_click, args=[])
    return found


def link(
    label: str, address: str, *, icon: str | None = None, kind: Kind = "plain", **attributes: Any
) -> Tag:
    """A link that looks like a button."""
    found = Tag("a", classes=f"button {kind}", href=address, **attributes)
    with found:
        if icon is not None:
            _icon(icon)
        Tag("span", label)
    return found


def heading(title: str, sentence: str = "") -> Tag:
    """The title of a page, and a sentence under it. More can be put beside it inside `with`."""
    found = Tag("div", classes="heading")
    with found, Tag("div"):
        Tag("h1", title)
        if sentence:
            Tag("p", sentence, "soft")
    return found


def empty(title: str, sentence: str) -> Tag:
    """What stands where there is nothing yet."""
    found = Tag("div", classes="empty")
    with found:
        Tag("h2", title)
        Tag("p", sentence, "soft")
    return found


def tile(image: Image, *, label: str | None = None) -> Tag:
    """A picture that leads to its page."""
    said = label or f"Picture {image.index + 1}: {image.prompt}"
    found = Tag("a", classes="tile", href=f"/picture/{image.id}", aria_label=said)
    with found:
        Tag(
            "img",
            src=thumb(image.id),
            alt="",
            width=image.width,
            height=image.height,
            loading="lazy",
            decoding="async",
        )
    return found


def thumb(image_id: str) -> str:
    """Address of a small picture."""
    return f"/media/{image_id}/thumb"


def file(image_id: str) -> str:
    """Address of a picture as it was painted."""
    return f"/media/{image_id}/file"


_icon = icon
