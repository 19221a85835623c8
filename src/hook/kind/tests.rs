use super::*;
use crate::event::HookForm::{Archive, Bytecode, Directory as Folder, Extension, File, Module, Package, Sourceless};
use crate::event::HookKind as Kind;
use crate::event::HookLocation::{self, Elsewhere, Etc, Program, Site, Stdlib, System, User, UserSite};
use proptest::prelude::*;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

const IN_ZIP: HookLocation = HookLocation::Archive;

fn of(path: &str) -> HookPath {
    super::of(Path::new(path))
}

#[track_caller]
fn assert_all(kind: Kind, table: &[(&str, HookForm, HookLocation)]) {
    for (path, form, location) in table {
        let found = of(path);
        assert_eq!((found.kind, found.form, found.location), (kind, *form, *location), "{path}");
    }
}

#[track_caller]
fn assert_other(paths: &[&str]) {
    for path in paths {
        assert_eq!((of(path).kind, of(path).location), (Kind::Other, Elsewhere), "{path}");
    }
}

#[test]
fn every_form_of_sitecustomize_is_recognised_where_python_searches() {
    assert_all(
        Kind::Sitecustomize,
        &[
            ("/usr/lib/python3.11/sitecustomize.py", Module, Stdlib),
            ("/etc/python3.11/sitecustomize.py", Module, Etc),
            ("/usr/lib/python3.11/sitecustomize/__init__.py", Package, Stdlib),
            ("/usr/lib/python3.11/sitecustomize/__init__.pyc", Sourceless, Stdlib),
            ("/usr/lib/python3.11/sitecustomize/__init__.so", Extension, Stdlib),
            ("/usr/lib/python3.11/sitecustomize/__init__.cpython-311-x86_64-linux-gnu.so", Extension, Stdlib),
            ("/usr/lib/python3.11/sitecustomize/__pycache__/__init__.cpython-311.pyc", Bytecode, Stdlib),
            ("/usr/lib/python3.11/sitecustomize", Folder, Stdlib),
            ("/usr/lib/python3.11/sitecustomize.cpython-311-x86_64-linux-gnu.so", Extension, Stdlib),
            ("/usr/lib/python3.11/sitecustomize.abi3.so", Extension, Stdlib),
            ("/usr/lib/python3.11/sitecustomize.so", Extension, Stdlib),
            ("/usr/lib/python2.7/sitecustomizemodule.so", Extension, Stdlib),
            ("/usr/lib/python3.11/sitecustomize.pyc", Sourceless, Stdlib),
            ("/usr/lib/python2.7/sitecustomize.pyo", Sourceless, Stdlib),
            ("/usr/lib/python3.11/__pycache__/sitecustomize.cpython-311.pyc", Bytecode, Stdlib),
            ("/usr/lib/python3.11/__pycache__/sitecustomize.cpython-311.opt-2.pyc", Bytecode, Stdlib),
            ("/opt/pypy/lib/pypy3.10/__pycache__/sitecustomize.pypy310.pyc", Bytecode, Stdlib),
            ("/usr/lib/python311.zip/sitecustomize.py", Module, IN_ZIP),
            ("/usr/lib/python311.zip/sitecustomize/__init__.py", Package, IN_ZIP),
            ("/usr/lib/python3.11/lib-dynload/sitecustomize.so", Extension, Stdlib),
            ("/usr/local/lib/python3.11/dist-packages/sitecustomize.py", Module, Site),
            ("/root/.pyenv/versions/3.12.1/lib/python3.12/sitecustomize.py", Module, Stdlib),
            ("/v/lib64/python3.12/site-packages/sitecustomize.py", Module, Site),
            ("/home/u/.local/lib/python3.12/site-packages/sitecustomize.py", Module, UserSite),
            ("/var/lib/docker/overlay2/ID/diff/usr/lib/python3.11/sitecustomize.py", Module, Stdlib),
        ],
    );
}

#[test]
fn every_form_of_usercustomize_is_recognised_in_every_searched_directory() {
    assert_all(
        Kind::Usercustomize,
        &[
            ("/home/u/.local/lib/python3.11/site-packages/usercustomize.py", Module, UserSite),
            ("/root/.local/lib/python3.11/site-packages/usercustomize.pyc", Sourceless, UserSite),
            ("/root/.local/lib/python3.11/site-packages/__pycache__/usercustomize.cpython-311.pyc", Bytecode, UserSite),
            ("/usr/lib/python3.11/usercustomize.py", Module, Stdlib),
            ("/usr/lib/python3.11/lib-dynload/usercustomize.py", Module, Stdlib),
            ("/usr/local/lib/python3.11/dist-packages/usercustomize.py", Module, Site),
            ("/usr/lib/python3/dist-packages/usercustomize.py", Module, Site),
            ("/usr/lib/python3.11/usercustomize/__init__.py", Package, Stdlib),
            ("/usr/lib/python311.zip/usercustomize.pyc", Sourceless, IN_ZIP),
            ("/v/lib/python3.12/site-packages/usercustomize.abi3.so", Extension, Site),
        ],
    );
}

/// Python runs these only when PYTHONPATH or a `.pth` file adds the directory.
#[test]
fn a_customize_module_below_a_package_or_anywhere_else_is_elsewhere() {
    assert_all(
        Kind::Sitecustomize,
        &[
            ("/usr/lib/python3/dist-packages/ddtrace/bootstrap/sitecustomize.py", Module, Elsewhere),
            ("/v/lib/python3.11/site-packages/newrelic/bootstrap/sitecustomize.py", Module, Elsewhere),
            (
                "/v/lib/python3.11/site-packages/opentelemetry/instrumentation/auto_instrumentation/sitecustomize.py",
                Module,
                Elsewhere,
            ),
            ("/v/lib/python3.11/site-packages/elasticapm/instrumentation/wrapper/sitecustomize.py", Module, Elsewhere),
            ("/v/lib/python3.11/site-packages/pdm/pep582/sitecustomize.py", Module, Elsewhere),
            (
                "/v/lib/python3.11/site-packages/debugpy/_vendored/pydevd/pydev_sitecustomize/sitecustomize.py",
                Module,
                Elsewhere,
            ),
            ("/home/u/sitecustomize.py", Module, Elsewhere),
            ("/tmp/x/sitecustomize/__init__.py", Package, Elsewhere),
            ("/tmp/x/__pycache__/sitecustomize.cpython-311.pyc", Bytecode, Elsewhere),
            ("/sitecustomize.py", Module, Elsewhere),
            ("sitecustomize.py", Module, Elsewhere),
            ("/usr/lib/python3.11/__pycache__/sitecustomize.py", Module, Elsewhere),
        ],
    );
    assert_all(Kind::Usercustomize, &[("/home/u/.config/python/usercustomize.py", Module, Elsewhere)]);
}

#[test]
fn similar_names_are_no_customize_module() {
    assert_other(&[
        "/v/lib/python3.11/site-packages/debugpy/_vendored/pydevd/pydev_sitecustomize/__init__.py",
        "/usr/lib/python3.11/sitecustomize.py~",
        "/usr/lib/python3.11/sitecustomize.py.dpkg-new",
        "/usr/lib/python3.11/sitecustomize.pyi",
        "/usr/lib/python3.11/sitecustomize.PY",
        "/usr/lib/python3.11/SiteCustomize.py",
        "/usr/lib/python3.11/xsitecustomize.py",
        "/usr/lib/python3.11/.sitecustomize.py",
        "/usr/lib/python3.11/sitecustomize.cpython-311.pyc",
        "/usr/lib/python3.11/__pycache__/sitecustomize.cpython-311.pyc.140025",
        "/usr/lib/python3.11/sitecustomize.so.1",
        "/usr/lib/python3.11/sitecustomize.bak.so",
        "/usr/lib/python3.11/sitecustomize/x.py",
        "/home/u/src/sitecustomize",
        "/__init__.py",
        "",
        "/",
        "..",
        "/.",
    ]);
}

#[test]
fn path_configuration_files_count_directly_in_a_site_directory_only() {
    for (ending, kind) in [("pth", Kind::Pth), ("start", Kind::Start)] {
        for (directory, location) in [
            ("/usr/local/lib/python3.11/dist-packages", Site),
            ("/usr/lib/python3/dist-packages", Site),
            ("/usr/lib/python3.11/dist-packages", Site),
            ("/root/.local/lib/python3.11/site-packages", UserSite),
            ("/tmp/venv/lib/python3.11/site-packages", Site),
            ("/root/.pyenv/versions/3.12.1/lib/python3.12/site-packages", Site),
            ("/opt/conda/lib/python3.12/site-packages", Site),
            ("/usr/lib64/python3.6/site-packages", Site),
            ("/home/u/.local/share/uv/tools/x/lib/python3.12/site-packages", Site),
            ("/usr/lib/python3.11", Elsewhere),
            ("/usr/lib/python311.zip", Elsewhere),
            ("/home/u/models", Elsewhere),
            ("/v/lib/python3.11/site-packages/torchvision/models", Elsewhere),
            ("/home/u/.cache/torch/hub/checkpoints", Elsewhere),
            ("/srv/site-packages", Elsewhere),
        ] {
            for stem in ["x", "", ".hidden", ".", "a b", "-x", "с", "line\nbreak", "__editable__.x", "sitecustomize"] {
                assert_all(kind, &[(&format!("{directory}/{stem}.{ending}"), File, location)]);
            }
        }
    }
    assert_other(&[
        "/usr/lib/python3/dist-packages/zz.PTH",
        "/usr/lib/python3/dist-packages/zz.pth~",
        "/usr/lib/python3/dist-packages/zz.pth.bak",
        "/usr/lib/python3/dist-packages/zz.pth.dpkg-new",
        "/usr/lib/python3/dist-packages/zz.START",
        "/usr/lib/python3/dist-packages/pth",
        "/usr/lib/python3/dist-packages/x._pth",
    ]);
}

#[test]
fn the_boot_modules_are_recognised_in_every_form() {
    assert_all(
        Kind::StdlibBoot,
        &[
            ("/usr/lib/python3.11/encodings/__init__.py", Package, Stdlib),
            ("/usr/lib/python3.11/encodings/aliases.py", Module, Stdlib),
            ("/usr/lib/python3.11/encodings/utf_8.py", Module, Stdlib),
            ("/usr/lib/python3.11/encodings/ascii.py", Module, Stdlib),
            ("/usr/lib/python3.11/encodings/latin_1.py", Module, Stdlib),
            ("/usr/lib/python3.13/encodings/utf_8_sig.py", Module, Stdlib),
            ("/usr/lib/python3.11/encodings/__pycache__/__init__.cpython-311.pyc", Bytecode, Stdlib),
            ("/usr/lib/python3.11/encodings/__pycache__/utf_8.cpython-311.opt-1.pyc", Bytecode, Stdlib),
            ("/usr/lib/python3.11/encodings/utf_8.pyc", Sourceless, Stdlib),
            ("/usr/lib/python3.11/encodings/utf_8/__init__.py", Package, Stdlib),
            ("/usr/lib/python3.11/encodings/utf_8.abi3.so", Extension, Stdlib),
            ("/usr/lib/python3.11/encodings", Folder, Stdlib),
            ("/usr/lib/python3.11/encodings.py", Module, Stdlib),
            ("/usr/lib/python311.zip/encodings/__init__.py", Package, IN_ZIP),
        ],
    );
    assert_other(&[
        "/usr/lib/python3.11/encodings/cp437.py",
        "/usr/lib/python3.11/utf_8.py",
        "/usr/lib/python3/dist-packages/encodings/__init__.py",
        "/usr/lib/python3.11/email/__init__.py",
        "/srv/x/encodings/aliases.py",
        "/srv/x/encodings",
    ]);
}

#[test]
fn modules_that_older_interpreters_run_count_in_the_standard_library_only() {
    let stdlib = table::MODULES.iter().find(|modules| modules.kind == Kind::StdlibFile).unwrap();
    for name in stdlib.names {
        assert_all(
            Kind::StdlibFile,
            &[
                (&format!("/usr/lib/python3.10/{name}.py"), Module, Stdlib),
                (&format!("/usr/lib/python3.10/__pycache__/{name}.cpython-310.pyc"), Bytecode, Stdlib),
                (&format!("/usr/lib/python3.10/{name}/__init__.py"), Package, Stdlib),
                (&format!("/usr/lib/python310.zip/{name}.pyc"), Sourceless, IN_ZIP),
            ],
        );
        assert_other(&[&format!("/srv/app/{name}.py"), &format!("/v/lib/python3.10/site-packages/{name}.py")]);
    }
    assert_all(
        Kind::Site,
        &[
            ("/usr/lib/python3.11/site.py", Module, Stdlib),
            ("/usr/lib/python3.11/__pycache__/site.cpython-311.pyc", Bytecode, Stdlib),
            ("/usr/lib/python3.11/site.pyc", Sourceless, Stdlib),
            ("/usr/lib/python3.11/site/__init__.py", Package, Stdlib),
            ("/usr/lib/python311.zip/site.py", Module, IN_ZIP),
            ("/srv/django/project/site.py", Module, Elsewhere),
            ("/v/lib/python3.11/site-packages/site.py", Module, Elsewhere),
            ("/site.py", Module, Elsewhere),
        ],
    );
    assert_other(&[
        "/srv/django/site/__init__.py",
        "/srv/x/__pycache__/site.cpython-311.pyc",
        "/srv/mysite.py",
        "/srv/site",
    ]);
}

#[test]
fn the_stdlib_zip_is_recognised_as_a_file_or_directory() {
    for path in ["/usr/lib/python311.zip", "/usr/lib64/python313t.zip", "/opt/conda/lib/python27.zip"] {
        assert_all(Kind::StdlibZip, &[(path, Archive, IN_ZIP)]);
    }
    assert_other(&[
        "/usr/lib/python.zip",
        "/home/u/python311.zip",
        "/usr/lib/python3.zip",
        "/usr/lib/python311.zip/x.py",
    ]);
}

#[test]
fn interpreter_configuration_is_recognised_beside_and_above_the_interpreter() {
    assert_all(
        Kind::InterpreterConfig,
        &[
            ("/usr/bin/pyvenv.cfg", File, Program),
            ("/usr/local/bin/pyvenv.cfg", File, Program),
            ("/srv/venv/bin/pyvenv.cfg", File, Program),
            ("/usr/pyvenv.cfg", File, Program),
            ("/usr/local/pyvenv.cfg", File, Program),
            ("/pyvenv.cfg", File, Program),
            ("/var/lib/docker/overlay2/ID/diff/usr/pyvenv.cfg", File, Program),
            ("/root/.pyenv/versions/3.12.1/pyvenv.cfg", File, Program),
            ("/opt/conda/pyvenv.cfg", File, Program),
            ("/home/u/.local/share/uv/python/cpython-3.13.1-linux-x86_64-gnu/pyvenv.cfg", File, Program),
            ("/usr/bin/python3.11._pth", File, Program),
            ("/usr/bin/python3._pth", File, Program),
            ("/usr/lib/x86_64-linux-gnu/libpython3.14.so.1.0._pth", File, Program),
            ("/usr/bin/pybuilddir.txt", File, Program),
        ],
    );
    assert_all(
        Kind::VenvConfig,
        &[
            ("/srv/venv/pyvenv.cfg", File, Program),
            ("/opt/x/pyvenv.cfg", File, Program),
            ("/root/.pyenv/versions/myproject/pyvenv.cfg", File, Program),
        ],
    );
    assert_other(&[
        "/usr/bin/x._pth",
        "/usr/lib/python3.11._pth",
        "/usr/src/pybuilddir.txt",
        "/srv/venv/pyvenv.cfg.bak",
    ]);
}

#[test]
fn modules_of_common_packages_count_where_python_searches() {
    assert_all(
        Kind::Module,
        &[
            ("/home/u/.local/lib/python3.11/site-packages/apport_python_hook.py", Module, UserSite),
            ("/usr/lib/python3/dist-packages/apport_python_hook.py", Module, Site),
            ("/v/lib/python3.11/site-packages/_distutils_hack/__init__.py", Package, Site),
            ("/v/lib/python3.11/site-packages/_distutils_hack/__pycache__/__init__.cpython-311.pyc", Bytecode, Site),
            ("/v/lib/python3.11/site-packages/_distutils_hack", Folder, Site),
            ("/root/.local/lib/python3.11/site-packages/_distutils_hack.py", Module, UserSite),
            ("/v/lib/python3.11/site-packages/_virtualenv.py", Module, Site),
            ("/v/lib/python3.11/site-packages/__editable___x_1_0_finder.py", Module, Site),
            ("/usr/lib/python3.11/_distutils_hack.so", Extension, Stdlib),
        ],
    );
    assert_other(&[
        "/v/lib/python3.11/site-packages/_distutils_hack/override.py",
        "/home/u/src/_distutils_hack/__init__.py",
        "/etc/python3.11/apport_python_hook.py",
        "/v/lib/python3.11/site-packages/x/_virtualenv.py",
    ]);
}

#[test]
fn wheels_interpreters_directories_and_environment_files_are_recognised() {
    assert_all(
        Kind::BundledWheel,
        &[
            ("/usr/share/python-wheels/setuptools-66.1.1-py3-none-any.whl", Archive, System),
            ("/usr/lib/python3.12/ensurepip/_bundled/pip-23.2.1-py3-none-any.whl", Archive, Stdlib),
            ("/v/lib/python3.12/site-packages/virtualenv/seed/wheels/embed/pip-24.0-py3-none-any.whl", Archive, Site),
        ],
    );
    assert_all(
        Kind::Interpreter,
        &[
            ("/usr/bin/python3", File, Program),
            ("/usr/bin/python3.11", File, Program),
            ("/usr/bin/python3.7m", File, Program),
            ("/usr/local/bin/python", File, Program),
            ("/usr/local/bin/python3.13t", File, Program),
            ("/usr/bin/python2.7", File, Program),
            ("/home/u/.local/bin/python3", File, Program),
            ("/home/u/.pyenv/shims/python3.12", File, Program),
            ("/srv/venv/bin/pypy3.10", File, Program),
            ("/usr/bin/pypy", File, Program),
        ],
    );
    assert_all(
        Kind::SiteDirectory,
        &[
            ("/usr/lib/python3.11", Folder, Stdlib),
            ("/usr/lib/python3", Folder, Stdlib),
            ("/usr/lib/python3/dist-packages", Folder, Site),
            ("/root/.local/lib/python3.11/site-packages/", Folder, UserSite),
            ("/usr/lib/python3.11/lib-dynload", Folder, Stdlib),
            ("/etc/python3.11", Folder, Etc),
            ("/usr/lib/python3.11/__pycache__", Folder, Stdlib),
            ("/usr/lib/python3.11/encodings/__pycache__", Folder, Stdlib),
        ],
    );
    assert_all(
        Kind::Environment,
        &[
            ("/etc/environment", File, System),
            ("/etc/profile.d/x.sh", File, System),
            ("/root/.bashrc", File, User),
            ("/home/u/.config/environment.d/x.conf", File, User),
        ],
    );
    assert_other(&[
        "/tmp/x.whl",
        "/v/lib/python3.12/site-packages/x/_bundled/pip.whl",
        "/usr/bin/python3-config",
        "/usr/bin/python3.11-config",
        "/usr/bin/pythonw",
        "/usr/bin/pypy3-c",
        "/usr/bin/pydoc3",
        "/usr/share/python3",
        "/srv/app/python3",
        "/srv/site-packages",
        "/srv/x/__pycache__",
        "/v/lib/python3.11/site-packages/x/__pycache__",
        "/etc/python3",
    ]);
}

#[test]
fn the_version_comes_from_the_directory_or_the_tag() {
    for (path, version) in [
        ("/usr/lib/python3.11/sitecustomize.py", Some((3, 11))),
        ("/usr/lib/python3.13t/encodings/utf_8.py", Some((3, 13))),
        ("/v/lib/python2.7/site-packages/x.pth", Some((2, 7))),
        ("/usr/lib/python3/dist-packages/x.pth", None),
        ("/usr/lib/python3/dist-packages/__pycache__/usercustomize.cpython-311.pyc", Some((3, 11))),
        ("/usr/lib/python3/dist-packages/usercustomize.cpython-37m-x86_64-linux-gnu.so", Some((3, 7))),
        ("/usr/lib/python3/dist-packages/usercustomize.abi3.so", None),
        ("/usr/lib/python39.zip", Some((3, 9))),
        ("/usr/bin/python3.12", Some((3, 12))),
        ("/usr/bin/python3.12._pth", Some((3, 12))),
        ("/usr/bin/python3", None),
    ] {
        assert_eq!(of(path).version, version, "{path}");
    }
}

/// The paths of the evaluation of the public rules.
#[test]
fn every_vector_of_the_public_rules_has_a_kind_and_a_location() {
    for (path, kind, location) in [
        ("/usr/local/lib/python3.11/dist-packages/sitecustomize.py", Kind::Sitecustomize, Site),
        ("/etc/python3.11/sitecustomize.py", Kind::Sitecustomize, Etc),
        ("/usr/lib/python3.11/sitecustomize.py", Kind::Sitecustomize, Stdlib),
        ("/usr/lib/python3.11/sitecustomize/__init__.py", Kind::Sitecustomize, Stdlib),
        ("/usr/lib/python3.11/sitecustomize.cpython-311-x86_64-linux-gnu.so", Kind::Sitecustomize, Stdlib),
        ("/usr/lib/python3.11/sitecustomize.abi3.so", Kind::Sitecustomize, Stdlib),
        ("/usr/lib/python3.11/__pycache__/sitecustomize.cpython-311.pyc", Kind::Sitecustomize, Stdlib),
        ("/usr/lib/python3.11/sitecustomize.pyc", Kind::Sitecustomize, Stdlib),
        ("/home/u/.local/lib/python3.11/site-packages/usercustomize.py", Kind::Usercustomize, UserSite),
        ("/root/.local/lib/python3.11/site-packages/usercustomize.py", Kind::Usercustomize, UserSite),
        ("/usr/local/lib/python3.11/dist-packages/usercustomize.py", Kind::Usercustomize, Site),
        ("/home/u/.config/python/usercustomize.py", Kind::Usercustomize, Elsewhere),
        ("/home/u/.local/lib/python3.11/site-packages/apport_python_hook.py", Kind::Module, UserSite),
        ("/usr/local/lib/python3.11/dist-packages/e.pth", Kind::Pth, Site),
        ("/opt/venv/lib/python3.12/site-packages/e.pth", Kind::Pth, Site),
        ("/home/u/venv/lib/python3.12/site-packages/e.pth", Kind::Pth, Site),
        ("/tmp/venv/lib/python3.12/site-packages/e.pth", Kind::Pth, Site),
        ("/root/.pyenv/versions/3.12.1/lib/python3.12/site-packages/e.pth", Kind::Pth, Site),
        ("/root/.local/share/uv/tools/x/lib/python3.12/site-packages/e.pth", Kind::Pth, Site),
        ("/home/u/.local/pipx/venvs/x/lib/python3.12/site-packages/e.pth", Kind::Pth, Site),
        ("/home/u/miniconda3/envs/x/lib/python3.12/site-packages/e.pth", Kind::Pth, Site),
        ("/opt/conda/lib/python3.12/site-packages/e.pth", Kind::Pth, Site),
        ("/usr/lib64/python3.9/site-packages/e.pth", Kind::Pth, Site),
        ("/usr/lib/python3.6/site-packages/system.pth", Kind::Pth, Site),
        ("/root/.local/lib/python3.11/site-packages/e.pth", Kind::Pth, UserSite),
        ("/srv/base/lib/python3.11/site-packages/e.pth", Kind::Pth, Site),
        ("/usr/local/lib/python3.15/dist-packages/e.start", Kind::Start, Site),
        ("/usr/lib/python311.zip", Kind::StdlibZip, IN_ZIP),
        ("/usr/bin/pyvenv.cfg", Kind::InterpreterConfig, Program),
        ("/usr/bin/python3.11._pth", Kind::InterpreterConfig, Program),
        ("/usr/bin/pybuilddir.txt", Kind::InterpreterConfig, Program),
        ("/usr/lib/python3.11/encodings/__init__.py", Kind::StdlibBoot, Stdlib),
        ("/usr/lib/python3.11/site.py", Kind::Site, Stdlib),
        ("/usr/lib/python3/dist-packages/_distutils_hack/__init__.py", Kind::Module, Site),
        ("/root/.local/lib/python3.11/site-packages/_distutils_hack/__init__.py", Kind::Module, UserSite),
        ("/etc/environment", Kind::Environment, System),
        ("/etc/profile.d/x.sh", Kind::Environment, System),
        ("/home/u/.bashrc", Kind::Environment, User),
        ("/srv/django/project/site.py", Kind::Site, Elsewhere),
        ("/home/u/models/resnet50.pth", Kind::Pth, Elsewhere),
    ] {
        assert_eq!((of(path).kind, of(path).location), (kind, location), "{path}");
    }
}

#[test]
fn a_path_gives_its_import_and_the_directory_that_must_be_on_the_path() {
    for (path, name, form, directory) in [
        ("/a/x.py", "x", Module, "/a"),
        ("/a/x.pyc", "x", Sourceless, "/a"),
        ("/a/x/__init__.py", "x", Package, "/a"),
        ("/a/x/__init__.so", "x", Extension, "/a"),
        ("/a/x.so", "x", Extension, "/a"),
        ("/a/x.cpython-313t-x86_64-linux-gnu.so", "x", Extension, "/a"),
        ("/a/__pycache__/x.cpython-311.pyc", "x", Bytecode, "/a"),
        ("/a/x/__pycache__/__init__.cpython-311.opt-1.pyc", "x", Bytecode, "/a"),
        ("/a/x", "x", Folder, "/a"),
    ] {
        let import = Import::of(Path::new(path)).unwrap();
        let expected = (OsStr::new(name), form, Path::new(directory));
        assert_eq!((import.name(), import.form, import.directory()), expected, "{path}");
    }
    for path in ["/a/x.txt", "/a/x.pyi", "/a/.py", "/a/x.foo.so", "/a/x.cpython-311.pyc", "/a/x.y", "", "/"] {
        assert_eq!(Import::of(Path::new(path)), None, "{path}");
    }
}

fn path() -> impl Strategy<Value = String> {
    let directory = prop::sample::select(vec![
        "/etc",
        "/etc/zsh",
        "/etc/security",
        "/etc/default",
        "/etc/profile.d",
        "/home/u/.config/environment.d",
        "/home/u/.config/fish",
        "/home/u",
        "/usr/bin",
        "/usr/lib",
        "/usr/lib/python3.11",
        "/usr/lib/python3.11/__pycache__",
        "/usr/lib/python3.11/encodings",
        "/usr/lib/python3.11/encodings/__pycache__",
        "/usr/lib/python3.11/os",
        "/usr/lib/python3.11/sitecustomize",
        "/usr/lib/python3.11/ensurepip/_bundled",
        "/usr/lib/python3/dist-packages",
        "/usr/lib/python3/dist-packages/_distutils_hack",
        "/usr/lib/python311.zip",
        "/usr/share/python-wheels",
        "/root/.local/lib/python3.11/site-packages",
    ]);
    let known: Vec<String> = Kind::ALL.iter().flat_map(|kind| names(*kind)).map(|name| name.replace('*', "")).collect();
    let stem = prop_oneof![8 => prop::sample::select(known), 1 => "[._a-z0-9]{0,12}"];
    let middle = prop::sample::select(vec!["", "", "3.11", "311", "cpython-311", "x"]);
    let ending = prop::sample::select(vec![
        "",
        "",
        "py",
        ".py",
        ".pyc",
        "pyc",
        "so",
        ".so",
        ".cpython-311.pyc",
        ".abi3.so",
        "~",
        ".sh",
        ".conf",
        "c",
        ".zip",
    ]);
    (directory, stem, middle, ending)
        .prop_map(|(directory, stem, middle, ending)| format!("{directory}/{stem}{middle}{ending}"))
}

/// Matches the patterns independently of the product code.
fn is_listed(name: &str, kind: Kind) -> bool {
    names(kind).iter().any(|pattern| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(ending), _) => name.ends_with(ending),
        (_, Some(beginning)) => name.starts_with(beginning),
        _ => *pattern == name,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// A start-up file has a file name of its kind, so the name filter passes it.
    #[test]
    fn a_hook_has_a_name_of_its_kind(path in path()) {
        let path = Path::new(&path);
        let name = path.file_name().unwrap_or_default().to_str().unwrap();
        // The environment files of these directories can have any name.
        let any_name = env::directories().any(|directory| path.parent() == Some(Path::new(directory)));
        let kind = super::of(path).kind;
        prop_assert!(any_name || names(kind).is_empty() || is_listed(name, kind), "{kind:?}");
        prop_assert!(any_name || !env::is_environment_file(path) || is_listed(name, Kind::Environment));
    }

    #[test]
    fn any_bytes_are_a_path(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let path = Path::new(OsStr::from_bytes(&bytes));
        super::of(path);
        Import::of(path);
    }
}

/// It runs for every new file with an interesting name. The bound is for a debug build on a busy machine; a release build
/// takes a twentieth.
#[test]
fn a_path_is_classified_within_50_microseconds() {
    let paths = [
        "/srv/app/venv/lib/python3.11/site-packages/some/package/deep/below/__init__.py",
        "/usr/share/doc/packages/readme/os.txt",
        "/usr/lib/python3.11/encodings/__pycache__/utf_8.cpython-311.pyc",
        "/home/u/.local/lib/python3.11/site-packages/usercustomize.py",
    ]
    .map(Path::new);
    let start = std::time::Instant::now();
    for _ in 0..10_000 {
        for path in paths {
            std::hint::black_box(super::of(std::hint::black_box(path)));
        }
    }
    let each = start.elapsed() / 40_000;
    assert!(each.as_micros() < 50, "{each:?}");
}
