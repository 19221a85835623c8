exec 'aW1wb3J0IG9z'.decode('base64')
