"""A real browser without a window, where there is one."""

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

OPTIONS = (
    "headless=new",
    "no-sandbox",
    "disable-gpu",
    "disable-dev-shm-usage",
    "window-size=1280,1120",
    "hide-scrollbars",
)
# Tabs and choices, too; Gradio has a copy of each tab, which it measures.
BUTTONS = "//button[normalize-space()='{0}'][not(@tabindex=-1) or @role='tab'] | //label[normalize-space()='{0}']"
# The pixels of what can be seen and has arrived: a hidden tab has pictures, too, and the footer has icons.
PIXELS = """const all = [...document.querySelectorAll("img[src*='/file=']")];
return all.filter(each => each.offsetParent && each.naturalWidth).map(each => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [each.naturalWidth, each.naturalHeight];
    canvas.getContext("2d").drawImage(each, 0, 0);
    return canvas.toDataURL();
})"""


class Browser:
    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def click(self, words: str) -> None:
        """Click on the button, tab or choice that has these words and can be seen, as soon as there is one."""
        _wait(lambda: self.seen(BUTTONS.format(words)))[0].click()

    def seen(self, path: str) -> list[WebElement]:
        return [each for each in self.driver.find_elements(By.XPATH, path) if each.is_displayed()]

    def pixels(self) -> list[str]:
        """Of each picture that can be seen."""
        return self.driver.execute_script(PIXELS)

    def await_pictures(self, num: int) -> None:
        _wait(lambda: len(self.pixels()) == num)

    def changes(self, act: Callable[[], object]) -> None:
        """Fail if `act` changes no picture that can be seen."""
        before = self.pixels()
        act()
        _wait(lambda: self.pixels() != before)

    def hosts(self) -> set[str]:
        """Whom the browser has asked for anything since the last call; "" for what is in the page itself."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [each["params"] for each in messages if each["method"] == "Network.requestWillBeSent"]
        return {urlsplit(each["request"]["url"]).hostname or "" for each in sent}


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Skips the test where Chromium or its driver is missing."""
    driver = shutil.which("chromedriver")
    if not driver or not any(map(shutil.which, ("chromium", "google-chrome"))):
        pytest.skip("no chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    for option in OPTIONS:
        options.add_argument(f"--{option}")
    with webdriver.Chrome(options, Service(driver)) as started:
        yield Browser(started)


def _wait(condition: Callable[[], list[WebElement] | bool], seconds: float = 30) -> list[WebElement]:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.1)
    return found if isinstance(found, list) else []
