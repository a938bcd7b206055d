"""The sample store matches the JSON Schemas, and the document's recipes work on it."""

import json
import pathlib
import re
import shutil
import subprocess

import jsonschema
import pytest

FORMAT = pathlib.Path(__file__).resolve().parents[2] / "metastore"
SAMPLE = FORMAT / "sample"
TABLES = ["file_registry", "transfer_logs"]


def schema(table):
    return json.loads((FORMAT / f"{table}.schema.json").read_text())


def rows(table):
    return [json.loads(line) for line in (SAMPLE / f"{table}.jsonl").read_text().splitlines()]


def validator(table):
    return jsonschema.Draft202012Validator(schema(table))


def recipes():
    blocks = re.findall(r"(?:^    .*\n)+", (FORMAT / "README.md").read_text(), re.MULTILINE)
    return [block for block in blocks if block.strip().startswith("jq ")]


@pytest.mark.parametrize("table", TABLES)
def test_schema_is_a_schema(table):
    jsonschema.Draft202012Validator.check_schema(schema(table))


@pytest.mark.parametrize("table", TABLES)
def test_sample_matches_schema(table):
    assert rows(table)
    for row in rows(table):
        validator(table).validate(row)


@pytest.mark.parametrize("table", TABLES)
def test_each_required_column_is_required(table):
    row = rows(table)[0]
    for column in schema(table)["required"]:
        assert not validator(table).is_valid({k: v for k, v in row.items() if k != column})


@pytest.mark.parametrize("table", TABLES)
def test_document_names_every_column(table):
    document = (FORMAT / "README.md").read_text()
    for column in schema(table)["properties"]:
        assert f"`{column}`" in document


@pytest.mark.parametrize(
    "column, value",
    [
        ("path", "/etc/passwd"),
        ("path", "a/../b"),
        ("path", ".."),
        ("path", ""),
        ("checksum", "abc"),
        ("checksum", "md5:" + "0" * 40),
        ("updated_date", "yesterday"),
        ("state", "odd"),
        ("size", -1),
        ("size", "1"),
    ],
)
def test_bad_registry_values_are_refused(column, value):
    assert not validator("file_registry").is_valid({**rows("file_registry")[0], column: value})


@pytest.mark.parametrize("path", ["..a", "a..", "a/..b", "a b", "ü"])
def test_good_paths_are_accepted(path):
    assert validator("file_registry").is_valid({**rows("file_registry")[0], "path": path})


@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq")
@pytest.mark.parametrize("recipe", recipes())
def test_recipe_works_on_sample(recipe):
    done = subprocess.run(
        ["sh", "-c", recipe], cwd=SAMPLE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_there_are_recipes():
    assert len(recipes()) >= 5
