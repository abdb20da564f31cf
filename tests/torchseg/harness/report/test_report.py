from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from torchseg.harness.csv_table import Table
from torchseg.harness.report.gallery import _any_of
from torchseg.harness.report.report import markdown_table, report_html, write_report
from torchseg.harness.report.run_record import read_run
from torchseg.harness.report.style import STYLE
from torchseg.harness.scoring.columns import CLASS_COLUMNS, CURVE_COLUMNS, IMAGE_COLUMNS, SCORE_COLUMNS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NEEDS_CHROMIUM = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the page with")
FILES = ("student/model.safetensors", "artifacts/student.fp32.onnx", "artifacts/student.int8.tflite")


def score(at: int, name: str) -> dict[str, object]:
    kind = ("torch", "onnx", "tflite")[at]
    cells = {"artifact": name, "stage": "student", "format": kind, "precision": "fp32", "runtime": kind}
    costs = {"size_bytes": (900_000, 1_000_000, 250_000)[at], "latency_ms_min": (30, 10, 20)[at]}
    costs |= {"multiply_adds": 12_000_000, "peak_share": 0.42}
    conditions = {"threads": 1, "image_size": "8x8", "rounds": 5, "repeats": 3, "images": 4, "host": "some <CPU>"}
    return cells | costs | conditions | {"latency_ms_median": 35, "miou": 0.7 - at / 1000, "certified": True}


@pytest.fixture
def run(tmp_path):
    """A complete run folder: three files, one that failed, one picture, two stages' curves, a certificate."""
    with Table(tmp_path / "scores.csv", SCORE_COLUMNS) as table:
        for at, name in enumerate(FILES):
            table.write(score(at, name))
        table.write({"artifact": "artifacts/bad.onnx", "stage": "student", "format": "onnx", "error": "is <damaged>"})
    with Table(tmp_path / "per_class.csv", CLASS_COLUMNS) as table:
        table.write({"artifact": FILES[0], "class": "sky", "iou": 0.5, "average_precision": 0.875})
        table.write({"artifact": FILES[0], "class": "never", "iou": None})
    with Table(tmp_path / "per_image.csv", IMAGE_COLUMNS) as table:
        table.write({"artifact": FILES[2], "image": "one", "miou": 0.625})
    for stage in ("student", "teacher"):
        (tmp_path / stage).mkdir()
        with Table(tmp_path / stage / "curves.csv", ["epoch", "train_loss", "val_miou"]) as table:
            for epoch in range(3):
                table.write({"epoch": epoch, "train_loss": 1 / (epoch + 1), "val_miou": epoch / 4})
    save_gallery_files(tmp_path)
    (tmp_path / "artifacts").mkdir()
    certificate = {
        "verdict": {"passed": True, "failures": []},
        "input": {"shape": [1, 3, 8, 8]},
        "argmax_agreement": 0.9996,
    }
    (tmp_path / "artifacts/student.fp32.onnx.json").write_text(json.dumps(certificate))
    (tmp_path / "environment.json").write_text(json.dumps({"command": ["distill.py", "--data", "scenes"]}))
    (tmp_path / "config.yaml").write_text("data: scenes\n")
    ledger = "stage,artifact,tensor,parameters,sparsity,nan\n"
    ledger += "pruned,pruned/model.safetensors,stem.weight,1000,0.75,0\n"
    ledger += "pruned,pruned/model.safetensors,total,123456,0.8,0\n"
    (tmp_path / "ledger.csv").write_text(ledger)
    with Table(tmp_path / "precision_recall.csv", CURVE_COLUMNS) as table:
        for recall, precision in ((0.2, 1.0), (1.0, 0.5)):
            table.write({"artifact": FILES[0], "class": "sky", "recall": recall, "precision": precision})
    return tmp_path


def save_gallery_files(folder: Path) -> None:
    (folder / "figures/gallery").mkdir(parents=True)
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / "figures/gallery/p.png")
    for name in ("truth", "student", "onnx"):
        Image.fromarray(random.integers(0, 2, (8, 8), dtype=np.uint8)).save(folder / f"figures/gallery/{name}.png")
    labels = {FILES[0]: "figures/gallery/student.png", FILES[2]: "figures/gallery/onnx.png"}
    sample = {"name": "one", "rank": "best", "picture": "figures/gallery/p.png", "truth": "figures/gallery/truth.png"}
    described = [
        {"artifact": FILES[0], "stage": "student", "format": "torch"},
        {"artifact": FILES[2], "stage": "student", "format": "tflite", "reference": FILES[0]},
    ]
    index = {"leader": FILES[0], "classes": ["sky", "never"], "artifacts": described}
    (folder / "figures/gallery.json").write_text(json.dumps(index | {"samples": [sample | {"labels": labels}]}))
    counts = {FILES[0]: [[3, 1], [0, 0]], FILES[1]: [[1, 3], [0, 0]]}
    confusion = {"classes": ["sky", "never"], "counts": counts}
    (folder / "figures/confusion.json").write_text(json.dumps(confusion))


def save_large_gallery(folder: Path, *, count: int, side: int) -> None:
    """An image with detail at every scale, as photos have it, and labels with ragged edges, shown `count` times."""
    random = np.random.default_rng(0)
    detail = [
        np.asarray(Image.fromarray(random.integers(0, 256, (edge, edge, 3), dtype=np.uint8)).resize((side, side)))
        for edge in (side // 128, side // 16, side // 4)
    ]
    picture = (0.6 * detail[0] + 0.25 * detail[1] + 0.15 * detail[2]).astype(np.uint8)
    arrays = {"p": picture} | {
        name: (picture[..., at] > 128).astype(np.uint8) for at, name in enumerate(("truth", "student", "onnx"))
    }
    for name, values in arrays.items():
        Image.fromarray(values).save(folder / f"figures/gallery/{name}.png", compress_level=1)
    index = json.loads((folder / "figures/gallery.json").read_text())
    (folder / "figures/gallery.json").write_text(json.dumps(index | {"samples": count * index["samples"]}))


def text_of(page: str) -> str:
    class Reader(HTMLParser):
        words = ""

        def handle_data(self, data: str) -> None:
            self.words += f" {data}"

    reader = Reader()
    reader.feed(re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.DOTALL))
    return " ".join(reader.words.split())


def test_every_part_of_the_run_is_on_the_page(run):
    page = write_report(run).read_text()
    text = text_of(page)
    for words in (
        "student.int8.tflite", "70.00 %", "Take for a phone", "3.6 times smaller", "Accuracy against cost",
        "best: one", "IoU 62.5 %", "px changed by export", "wrong pixels of student.int8.tflite", "loss on the masks",
        "holds", "Confusion", "75.0 %", "pruned", "data: scenes",
        "distill.py --data scenes", "is <damaged>", "input.shape", "1, 3, 8, 8", "the other files", "12.0 M", "42 %",
        "123,456", "80.00 %", "1 tensor one by one", "sky: average precision student 87.5 %", "Recall of sky",
    ):  # fmt: skip
        assert words in text, words
    assert len(re.findall(r'<g class="point[^>]*tabindex="0"', page)) == 6  # a mark per file and plot
    assert page.count('class="tip"') == 1
    for measure in ("Dice", "IoU", "Precision", "Recall", "mean"):
        assert measure in text


def test_the_page_asks_no_host_and_no_other_file(run):
    page = page_of(run)
    for address in re.findall(r'(?:src|href)="([^"]*)"', page) + re.findall(r"url\(([^)]*)\)", page):
        assert address.startswith(("data:", "#", "artifacts/")), address
    assert re.findall(r'<a href="(artifacts/[^"]*)"', page) == []  # the file is gone
    assert "http" not in page
    assert "@import" not in page


@pytest.mark.slow
def test_the_page_stays_small_with_the_most_and_large_images(run):
    save_large_gallery(run, count=2, side=1024)
    page = page_of(run)
    assert page.count('class="sample"') == 2
    most = 14  # two of each of three ranks, and the worst of eight classes
    assert 1_000_000 < most / 2 * len(page.encode()) < 4_000_000


def test_a_single_wrong_pixel_of_a_large_image_is_seen():
    marked = np.zeros((1025, 700), bool)
    marked[1024, 699] = marked[5, 6] = True
    found = _any_of(marked, 3)
    assert found.shape == (342, 234)
    assert found.sum() == 2
    assert found[341, 233]
    assert found[1, 2]


def test_figures_are_written_as_pictures_too(run):
    write_report(run)
    for name in ("curves", "tradeoffs", "precision_recall"):
        with Image.open(run / f"figures/{name}.png") as image:
            assert image.size[0] > 500


def test_the_same_folder_gives_the_same_page(run):
    assert page_of(run) == page_of(run)


@pytest.mark.parametrize("missing", ["scores.csv", "per_class.csv", "figures", "environment.json", "artifacts"])
def test_what_is_missing_is_left_out(run, missing):
    path = run / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "Training" in text_of(page_of(run))


def test_a_ledger_without_totals_is_shown_as_it_is(run):
    (run / "ledger.csv").write_text("stage,zeros\npruned,0.8125\n")
    assert "0.8125" in text_of(page_of(run))


def test_a_stage_has_one_colour_in_every_plot(run):
    page = page_of(run)
    number = re.search(r'<i class="(s\d)"></i>student', page)
    assert number
    keys = re.findall(r'<i class="(s\d)"></i>student', page)
    assert set(keys) == {number[1]}
    assert len(keys) == 2  # trade-offs, precision and recall


def page_of(run: Path) -> str:
    return report_html(read_run(run))


def test_a_damaged_part_is_left_out(run, caplog):
    (run / "artifacts/student.fp32.onnx.json").write_text("{ nothing")
    assert "Certificates" in text_of(page_of(run))
    assert "student.fp32.onnx.json is damaged" in caplog.text


@pytest.mark.parametrize(
    ("classes", "words"), [(150, "The counts of 1 more file are in"), (200, "200 classes are too")]
)
def test_a_page_with_very_many_classes_has_as_many_confusion_tables_as_it_has_room_for(run, classes, words):
    counts = np.ones((2, classes, classes), int).tolist()
    names = [f"class{number}" for number in range(classes)]
    confusion = {"classes": names, "counts": dict(zip(FILES[:2], counts, strict=True))}
    (run / "figures/confusion.json").write_text(json.dumps(confusion))
    page = page_of(run)
    assert words in page
    assert len(page) < 2_000_000


def test_damaged_tables_are_shown_as_far_as_they_go(run, caplog):
    (run / "student/curves.csv").write_text("epoch,train_loss,val_miou\nnan,inf,nan\n1,0.5,0.25\n")
    (run / "scores.csv").write_text(f"artifact,miou\n{FILES[0]},0.7\n")
    (run / "per_image.csv").write_text(f"image,artifact,miou\none,{FILES[2]}\n")
    (run / "figures/gallery/truth.png").unlink()
    assert "student" in text_of(page_of(run))
    assert "1 image of which files are gone" in caplog.text
    assert markdown_table(run / "scores.csv").splitlines()[2].startswith("| student |")


def test_files_of_two_runs_with_one_name_are_told_apart(run):
    files = ["a/student/model.safetensors", "b/student/model.safetensors"]
    with Table(run / "scores.csv", SCORE_COLUMNS) as table:
        for threads, name in enumerate(files, 1):
            table.write(score(0, name) | {"threads": threads})
    with Table(run / "per_class.csv", CLASS_COLUMNS) as table:
        for name, iou in zip(files, (0.5, 0.9), strict=True):
            table.write({"artifact": name, "runtime": "torch", "class": "sky", "iou": iou})
    text = text_of(page_of(run))
    assert "a/student/model.safetensors (PyTorch) Class Dice IoU Precision Recall sky 50.0 % mean" in text
    assert "b/student/model.safetensors (PyTorch) Class" in text
    assert "1 or 2 threads" in text
    lines = markdown_table(run / "scores.csv").splitlines()
    assert [line.split("|")[1:3] for line in lines[2:4]] == [
        [f" {files[0]} ", " torch , 1 thread "],
        [f" {files[1]} ", " torch , 2 threads "],
    ]


def test_a_mean_over_a_class_of_few_pixels_is_marked(run):
    with Table(run / "per_class.csv", CLASS_COLUMNS) as table:
        for index, (name, pixels) in enumerate((("sky", 5000), ("ring", 3))):
            table.write({"artifact": FILES[0], "class_index": index, "class": name, "iou": 0.5, "pixels": pixels})
    text = text_of(page_of(run))
    assert "mean *" in text
    assert "* ring 3 pixels: fewer than 1,000 in the test images" in text


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds neither scores\.csv nor"):
        write_report(tmp_path)
    with pytest.raises(ValueError, match="there is no folder"):
        write_report(tmp_path / "gone")


def test_the_markdown_table_has_a_row_per_file_and_its_conditions(run):
    lines = markdown_table(run / "scores.csv").splitlines()
    assert lines[0].startswith("| File | Runtime | Size |")
    assert lines[4].startswith("| student.int8.tflite | tflite")
    assert "not scored: is <damaged>" in lines[5]
    assert "5 rounds of 3" in lines[-1]
    assert len({line.count("|") for line in lines[:6]}) == 1


def test_a_missing_table_is_no_markdown(tmp_path):
    with pytest.raises(ValueError, match="has no rows; score a run first"):
        markdown_table(tmp_path / "scores.csv")


def opened(page: Path, script: str, *, width: int = 1400) -> str:
    """The page after a script ran in headless Chromium, without a message on the console."""
    page.write_text(page.read_text().replace("</body>", f"<script>{script}</script></body>"))
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900"]
    command += ["--dump-dom", "--enable-logging=stderr", "--v=0", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "CONSOLE" not in done.stderr
    return done.stdout


@pytest.mark.slow
@NEEDS_CHROMIUM
def test_a_browser_sorts_the_table_on_a_click_and_reports_no_error(run):
    click = "[...document.querySelectorAll('th button')].find(b => b.textContent === 'Size').click();"
    click += "document.querySelector('.point[tabindex]').focus()"
    shown = opened(write_report(run), click)
    names = re.findall(r'<th scope="row" data-value="([^"]*)"', shown)
    assert names == ["student.int8.tflite", "student", "student.fp32.onnx", "bad.onnx"]
    assert re.search(r'class="tip"[^>]*>student \(torch, fp32\)', shown)  # by keyboard as by mouse


@pytest.mark.slow
@NEEDS_CHROMIUM
def test_a_slider_moves_the_cut_and_the_choice_of_views_is_followed(run):
    move = "const slider = document.querySelector('.stack input'); slider.focus(); slider.stepUp(10);"
    move += "slider.dispatchEvent(new Event('input'));"
    move += "const view = document.querySelector('select[data-side=left]'); view.value = 'wrong';"
    move += "view.dispatchEvent(new Event('change'));"
    move += "document.title = [document.activeElement === slider,"
    move += "getComputedStyle(document.querySelector('.left')).clipPath,"
    move += "getComputedStyle(document.querySelector('.left b')).backgroundImage.slice(0, 9)].join('|');"
    shown = opened(write_report(run), move)
    assert '<title>true|inset(0px 40% 0px 0px)|url("data</title>' in shown.replace("&quot;", '"')


@pytest.mark.slow
@NEEDS_CHROMIUM
@pytest.mark.parametrize("width", [1400, 800, 500])  # Chromium opens no narrower window
def test_no_name_in_a_chart_covers_another_and_the_page_does_not_scroll_sideways(run, width):
    measure = """
    let bad = 0;
    for (const chart of document.querySelectorAll(".chart")) {
      const boxes = [...chart.querySelectorAll(".tag")].map(tag => tag.getBoundingClientRect());
      boxes.forEach((a, i) => boxes.slice(i + 1).forEach(b => {
        if (a.left < b.right && b.left < a.right && a.top < b.bottom - 1 && b.top < a.bottom - 1) bad += 1;
      }));
    }
    const sideways = document.documentElement.scrollWidth > window.innerWidth;
    document.title = `${document.querySelectorAll(".tag").length} names, ${bad} overlap, ${sideways}`;
    """
    shown = opened(write_report(run), measure, width=width)
    assert re.search(r"<title>\d+ names, 0 overlap, false</title>", shown), shown[:300]


@pytest.mark.slow
@NEEDS_CHROMIUM
def test_no_number_is_broken_over_two_lines_even_in_tables_that_were_folded(run):
    measure = """
    for (const folded of document.querySelectorAll("details")) folded.open = true;
    const cells = [...document.querySelectorAll("td.number")].filter(cell => cell.textContent);
    const broken = cells.filter(cell => {
      const range = document.createRange();
      range.selectNodeContents(cell);
      return range.getClientRects().length > 1;
    });
    document.title = `${cells.length} numbers, ${broken.length} broken`;
    """
    shown = opened(write_report(run), measure, width=500)
    found = re.search(r"<title>(\d+) numbers, 0 broken</title>", shown)
    assert found, shown[:300]
    assert int(found[1]) > 20


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_its_background_as_accessibility_demands(theme):
    sheet = STYLE[: STYLE.index("@media")] if theme == "light" else STYLE[STYLE.index("@media") : STYLE.index("*{box")]
    colours = dict(re.findall(r"--(\w+):(#[0-9a-f]{3,6})\b", sheet))
    for ink in ("text", "soft", "accent", "good", "bad", "warn"):
        for paper in ("bg", "panel"):
            assert contrast(colours[ink], colours[paper]) >= 4.5, (theme, ink, paper)


def contrast(one: str, other: str) -> float:
    """Contrast of two colours by the rules of WCAG 2.1."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * each for each in colour[1:])
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_a_remark_on_many_files_names_the_first_and_counts_the_others(run):
    files = [f"artifacts/{letter}.fp16.onnx" for letter in "abcde"]
    with Table(run / "scores.csv", SCORE_COLUMNS) as table:
        for name in files:
            table.write(score(0, name) | {"sparsity": 0.6})
    named, every = (", ".join(Path(name).name for name in some) for some in (files[:3], files))
    assert f'<b>{named}</b> and <span title="{every}">2 more</span>: 60 % of the weights are zero' in page_of(run)
