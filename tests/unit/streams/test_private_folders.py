"""A folder with a name that everybody can guess is used only if nobody else can have put anything into it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streams.market.errors import ConfigurationError
from streams.private_folders import check_private_folder, home_socket, make_private_folder

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's folder")


def test_a_folder_is_made_for_one_user(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    make_private_folder(folder)
    make_private_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_an_open_folder_of_ours_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o755)
    make_private_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(ConfigurationError, match="written by others"):
        make_private_folder(folder)


def test_a_link_is_refused_and_its_target_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o755)
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(ConfigurationError, match="is not a folder"):
        make_private_folder(link)
    assert target.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("make", [make_private_folder, check_private_folder])
@as_root
def test_a_folder_of_another_user_is_refused(tmp_path: Path, make: object) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        make(folder)  # type: ignore[operator]


@as_root
def test_a_folder_can_be_handed_to_another_user_again_and_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    make_private_folder(folder, (65534, 65534))
    make_private_folder(folder, (65534, 65534))
    assert (folder.stat().st_uid, folder.stat().st_mode & 0o777) == (65534, 0o700)


def test_a_file_in_its_place_and_a_missing_folder_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigurationError, match=r"^\S+ .*\.$"):
            make_private_folder(path)
    with pytest.raises(ConfigurationError, match="No such file"):
        check_private_folder(tmp_path / "missing")


@pytest.mark.parametrize("letter", ["a", "é", "日", "💹"])
def test_the_length_of_a_socket_path_is_counted_in_bytes(letter: str) -> None:
    for length in (10, 60, 200):
        path = home_socket(Path("/home") / (letter * length), "warm.sock")
        assert len(os.fsencode(path)) <= 100
    assert home_socket(Path("/home/é"), "warm.sock") == Path("/home/é").resolve() / "run" / "warm.sock"


def test_a_socket_is_the_same_by_a_link_to_the_home(tmp_path: Path) -> None:
    for length in (1, 150):
        home = tmp_path / ("a" * length)
        home.mkdir()
        link = tmp_path / f"{length}"
        link.symlink_to(home)
        assert home_socket(link, "warm.sock") == home_socket(home, "warm.sock")
