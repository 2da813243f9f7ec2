"""Photograph the page of a run: python -m tests.programs.demo_picture RUN FILE.png"""

import sys
import time
from pathlib import Path

from selenium.webdriver.common.keys import Keys

from tests.harness.browser import chromium
from tests.harness.demo import demo

DIGIT, MOVES = "2", [15, 10, 0, 10, 0, 0]  # tenths along each direction

with demo(Path(sys.argv[1])) as address, chromium() as browser:
    browser.driver.get(address)
    browser.click("Directions")
    browser.await_pictures(7)
    browser.click(DIGIT)
    for slider, move in zip(browser.seen("//input[@type='range']")[1:], MOVES, strict=True):
        slider.send_keys((Keys.ARROW_RIGHT if move > 0 else Keys.ARROW_LEFT) * abs(move))
    browser.seen("//h1")[0].click()  # what has the mouse over it looks different
    time.sleep(3)  # until the last picture is there, and the fonts
    browser.driver.save_screenshot(sys.argv[2])
