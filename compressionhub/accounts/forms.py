"""Forms of the account and team pages."""

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm

from compressionhub.accounts.models import Scope
from compressionhub.accounts.permissions import Role


class HubForm(forms.Form):
    """A form in the looks of the hub. A field with an error names it to screen readers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            chooses = isinstance(field, forms.ChoiceField | forms.ModelChoiceField)
            field.widget.attrs.setdefault("class", "form-select" if chooses else "form-control")


class SignInForm(AuthenticationForm):
    """User name or e-mail address, and password."""

    error_messages = {
        "invalid_login": "Name and password do not match.",
        "inactive": "This account is closed.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "User name or e-mail"
        self.fields["username"].widget.attrs.update(
            {"class": "form-control", "autocapitalize": "none", "maxlength": 254}
        )
        self.fields["password"].widget.attrs.update({"class": "form-control"})


class AccountForm(HubForm):
    full_name = forms.CharField(max_length=120, label="Name")
    email = forms.EmailField(required=False, label="E-mail")


class PasswordForm(HubForm):
    old = forms.CharField(
        label="Current password", strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
    new = forms.CharField(
        label="New password",
        strip=False,
        help_text="At least ten characters, and not a common one.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class TokenForm(HubForm):
    name = forms.CharField(max_length=80, label="Name", help_text="Where it will be used.")
    scope = forms.ChoiceField(choices=Scope.choices, label="May")
    days = forms.TypedChoiceField(
        coerce=int,
        choices=[(30, "30 days"), (90, "90 days"), (365, "one year"), (0, "no end")],
        label="Valid for",
        initial=90,
    )


class PersonForm(HubForm):
    """A person to add. ``most`` is the highest role that may be given."""

    full_name = forms.CharField(max_length=120, label="Name")
    email = forms.EmailField(label="E-mail", required=False)
    username = forms.CharField(
        max_length=60, required=False, label="User name", help_text="Made from the e-mail if left empty."
    )
    role = forms.ChoiceField(label="Role", initial=Role.VIEWER)

    def __init__(self, *args: Any, most: Role, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(role.value, role.label) for role in Role if role.rank <= most.rank]
        self.fields["role"].choices = choices  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if not values.get("email") and not values.get("username") and not self.errors:
            raise forms.ValidationError("Give an e-mail address or a user name.")
        return values


class RoleForm(HubForm):
    role = forms.ChoiceField(choices=Role.choices, label="Role")
