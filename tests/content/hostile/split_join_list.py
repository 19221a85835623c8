exec(''.join(['imp','ort o','s;os.sy','stem("id")']))
