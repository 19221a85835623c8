//! Files that set Python's variables for every later process.

use crate::expect::Expected;
use crate::with_each_backend;
use std::fs;

with_each_backend! {
    []
    fn pythonstartup_in_etc_environment_is_reported_with_its_line(fixture, backend) {
        fs::write(fixture.at("/etc/environment"), "LANG=C\n").unwrap();
        let mut session = fixture.start(backend);
        fs::write(session.at("/etc/environment"), "LANG=C\nPYTHONSTARTUP=/tmp/evil.py\n").unwrap();
        let alerts = session.expect_alerts(&[Expected::new("change", "/etc/environment", "PYTHONSTARTUP_ENV_SET")]);
        let setting = &alerts[0].0["pyhookwatch"]["environment"][0];
        assert_eq!(setting["variable"], "PYTHONSTARTUP");
        assert_eq!(setting["line"], 2);
        assert_eq!(setting["text"], "PYTHONSTARTUP=/tmp/evil.py");
        session.stop();
    }

    []
    fn pythonpath_in_a_profile_script_is_distinguished(fixture, backend) {
        fs::create_dir_all(fixture.root().join("etc/profile.d")).unwrap();
        let mut session = fixture.start(backend);
        fs::write(session.at("/etc/profile.d/x.sh"), "export PYTHONPATH=/tmp/evil\n").unwrap();
        session.expect_alerts(&[Expected::new("creation", "/etc/profile.d/x.sh", "PYTHONPATH_ENV_SET")]);
        session.stop();
    }

    []
    fn an_environment_file_that_sets_neither_is_no_alert(fixture, backend) {
        let mut session = fixture.start(backend);
        fs::write(session.at("/etc/environment"), "LANG=C\n# PYTHONSTARTUP=/x\n").unwrap();
        session.expect_alerts(&[]);
        session.stop();
    }

    []
    fn the_standard_librarys_site_py_is_a_startup_file(fixture, backend) {
        fs::write(fixture.at("/usr/lib/python3.12/site.py"), "pass\n").unwrap();
        let mut session = fixture.start(backend);
        fs::write(session.at("/usr/lib/python3.12/site.py"), "import os\n").unwrap();
        session.expect_alerts(&[Expected::new("change", "/usr/lib/python3.12/site.py", "PYTHON_STARTUP_FILE_MODIFIED")]);
        session.stop();
    }
}
