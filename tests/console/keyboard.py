"""Every action, with keys alone."""

from selenium.webdriver.common.keys import Keys

from browser import Browser, is_gone
from daemon import random_value
from results import check, contains, equal, until

# Every element that the Tab key reaches is on its way to the one after it; pages have fewer.
MOST = 300


class Keyboard:
    """The keyboard of a browser whose pages change by nobody else."""

    def __init__(self, browser):
        self.browser = browser

    def to(self, selector, text=None):
        """Presses Tab until an element has the focus."""
        for _ in range(MOST):
            each = self.browser.driver.switch_to.active_element
            found = self.browser.run(
                "return arguments[0].matches(arguments[1]) && (!arguments[2] || arguments[0].innerText.trim() === arguments[2])",
                each, selector, text)
            if found:
                return each
            each.send_keys(Keys.TAB)
        raise AssertionError(f"Tab does not reach {selector} {text or ''} at {self.browser.path}")

    def type(self, form, fields):
        """Types into fields of a form; a selection takes the first letters of an option."""
        for name, text in fields.items():
            field = self.to(f"{form} [name='{name}']")
            if field.tag_name in ("input", "textarea"):
                field.send_keys(Keys.CONTROL, "a")
            field.send_keys(text)

    def press(self, selector, text=None):
        """Presses Enter at a button or link, agrees with what the page asks, and waits for the next page."""
        button = self.to(selector, text)
        button.send_keys(Keys.ENTER)
        self.browser.agree()
        self.browser.wait(f"the page after {text or selector}", lambda: is_gone(button) and self.browser.all("h1"))


def run(daemon, work):
    browser = Browser(daemon.console, work)
    browser.sign_in_by_link(daemon.link())
    browser.without_events()
    keys = Keyboard(browser)
    page = created(browser, keys)
    of_an_account(browser, keys, page)
    of_other_pages(daemon, work, browser, keys)
    browser.quit()


def created(browser, keys):
    with check("with keys alone: create an account"):
        browser.get("/accounts")
        keys.press("a.button", "Create an account")
        browser.wait_path("/accounts/new")
        keys.to("[name='domain']").send_keys("keys.example.com", Keys.ENTER)
        browser.wait("the account", lambda: browser.all("#new-key"))
    return browser.path.split("?")[0]


def of_an_account(browser, keys, page):
    """Each form and button of an account's page: the end of its action, what is typed, the button, and what the page says then."""
    value = random_value()
    for action, fields, button, selector, said in [
        ("/edit", {"note": "by keys", "networks": "192.0.2.0/24"}, "Save", "#facts", "192.0.2.0/24"),
        ("/edit", {"note": "keys.example.com", "networks": Keys.DELETE}, "Save", "#facts", "any address"),
        ("/rotate", {"grace": "1 d"}, "Rotate the key", "#new-key", "Password"),
        ("/publish", {"txt": value}, "Publish", "#values", value),
        ("/retire", {}, "Retire", "#values", "retired"),
        ("/tsig", {}, "Create a TSIG key", "#new-key", "TSIG key"),
        ("/tsig/delete", {}, "Remove the TSIG key", "#facts", "none"),
        ("/aliases", {"alias": "_acme-challenge.keys.example.net"}, "Add the alias", "#names", "_acme-challenge.keys.example.net"),
        ("/aliases/remove", {}, None, "main", "Add the alias"),
        ("/subdomains", {"subdomain": "second-by-keys"}, "Add a name", "#names", "second-by-keys.auth.example.org"),
        ("/subdomains/remove", {}, "Remove the name", "main", "Add a name"),
        ("/disable", {}, "Disable", "#notice", "This account is disabled"),
        ("/enable", {}, "Enable", "#facts", "Active"),
    ]:
        with check(f"with keys alone: {button or action} at an account"):
            browser.get(page)
            form = f"form[action$='{action}']"
            keys.type(form, fields)
            keys.press(f"{form} button", button)
            contains(browser.text(selector), said)
            equal(browser.all("[role='alert']"), [])
    with check("with keys alone: check another domain, choose a client, and delete and restore an account"):
        browser.get(page)
        keys.type("form", {"domain": "other.example.com"})
        keys.press("form button", "Check its CNAME")
        contains(browser.text("#asked-domain"), "other.example.com")
        keys.type("form[action$='#settings']", {"client": "lego"})
        keys.press("form button", "Show its settings")
        contains(browser.path, "client=lego")
        keys.press("a.button", "Delete this account")
        keys.press("form button", "Delete the account")
        contains(browser.text("#notice"), "This account is deleted")
        keys.press("form button", "Restore")
        contains(browser.text("#facts"), "Active")


def of_other_pages(daemon, work, browser, keys):
    with check("with keys alone: search the accounts, and watch queries by a filter"):
        browser.get("/accounts")
        keys.type("form", {"search": "keys.example.com"})
        keys.press("form button", "Show")
        equal(len(browser.all("#accounts tbody tr")), 1)
        browser.get("/queries")
        keys.type("form", {"type": "TXT"})
        keys.press("form button", "Show")
        contains(browser.path, "type=TXT")
    with check("with keys alone: end another session"):
        other = Browser(daemon.console, work, agent="Mozilla/5.0 ended by keys")
        other.sign_in_by_link(daemon.link("read"))
        browser.get("/sessions")
        number = browser.run("return [...document.querySelectorAll('tbody tr')].find((row) => row.innerText.includes('ended by keys'))"
                             ".querySelector('form').getAttribute('action')")
        keys.press(f"form[action='{number}'] button")
        equal("ended by keys" in browser.text("tbody"), False)
        other.quit()
    with check("with keys alone: examine the set-up"):
        browser.get("/doctor")
        keys.press("form button", "Examine now")
        until("the examination has ended", lambda: "Examined" in browser.get("/doctor").text("#report"))


def certificates(daemon, browser):
    """The actions at a certificate that was issued."""
    keys = Keyboard(browser)
    browser.without_events()
    page = "/certificates/auth"
    with check("with keys alone: renew a certificate"):
        serial = until("the certificate", lambda: daemon.cli("cert", "show", "auth").get("shown"))["serial"]
        browser.get(page)
        keys.press("form button", "Renew now")
        until("another certificate", lambda: daemon.cli("cert", "show", "auth")["shown"]["serial"] != serial)
    with check("with keys alone: revoke a certificate"):
        browser.get(page)
        keys.press("a.button", "Revoke\u2026")
        keys.type("form", {"reason": "Sup"})
        keys.press("form button", "Revoke the certificate")
        contains(browser.text("main"), "revoked")
