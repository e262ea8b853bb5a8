"""
The samples of kie.ai's pages, in their shape: the order of the parts, the headers, the spelling of bodies.

A test puts its own host, key, file and generated file in the place of those that the pages name.
"""

from __future__ import annotations

import json

API = "https://api.kie.ai"
UPLOADS = "https://kieai.redpandaai.co"
KEY = "YOUR_API_KEY"
FILE = "/path/to/your-file.jpg"
GENERATED = "https://tempfile.1f6cxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxbd98"
PUBLIC = "https://example.com/sample-image.jpg"
PICKED = "fileInput.files[0]"
"""What a person has picked in a browser."""

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8/5+hHgAHggJ/PchI7wAAAABJRU5ErkJggg=="
"""The picture of the reference page; the quickstart's own breaks off with an ellipsis."""

CREDITS = {
    "curl": """
curl -X GET "https://api.kie.ai/api/v1/chat/credit" \\
  -H "Authorization: Bearer YOUR_API_KEY"
""",
    "javascript": """
const response = await fetch('https://api.kie.ai/api/v1/chat/credit', {
  method: 'GET',
  headers: {
    'Authorization': 'Bearer YOUR_API_KEY'
  }
});

const result = await response.json();
console.log('Current credits:', result.data);
""",
    "python": """
import requests

url = "https://api.kie.ai/api/v1/chat/credit"
headers = {
    "Authorization": "Bearer YOUR_API_KEY"
}

response = requests.get(url, headers=headers)
result = response.json()

print(f"Current credits: {result['data']}")
""",
}

_JSON = {
    "curl": """
curl -X POST "<URL>" \\
  -H "Authorization: Bearer YOUR_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '<BODY>'
""",
    "javascript": """
const response = await fetch('<URL>', {
  method: 'POST',
  headers: {
    'Authorization': 'Bearer YOUR_API_KEY',
    'Content-Type': 'application/json'
  },
  body: JSON.stringify(<BODY>)
});

const result = await response.json();
console.log('<TOLD>:', result.data);
""",
    "python": """
import requests

url = "<URL>"
headers = {
    "Authorization": "Bearer YOUR_API_KEY",
    "Content-Type": "application/json"
}

payload = <BODY>

response = requests.post(url, json=payload, headers=headers)
result = response.json()

print(f"<TOLD>: {result['data']}")
""",
}


def _json_samples(url: str, told: str, body: dict[str, str]) -> dict[str, str]:
    """Write the samples of a call that takes JSON: all pages spell them alike."""
    text = json.dumps(body, indent=2)
    return {
        language: sample.replace("<URL>", url).replace("<TOLD>", told).replace("<BODY>", text)
        for language, sample in _JSON.items()
    }


# The curl of the reference page has a comment inside its JSON, too; no parser of JSON takes that.
LINK = {
    **_json_samples(f"{API}/api/v1/common/download-url", "Download URL", {"url": GENERATED}),
    "curl of the reference page": """
curl --location --request POST 'https://api.kie.ai/api/v1/common/download-url' \\
--header 'Authorization: Bearer YOUR_API_KEY' \\
--header 'Content-Type: application/json' \\
--data-raw '{
  "url": "https://tempfile.1f6cxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxbd98"
}'
""",
}

URL_UPLOAD = _json_samples(
    f"{UPLOADS}/api/file-url-upload",
    "Upload successful",
    {"fileUrl": PUBLIC, "uploadPath": "images", "fileName": "my-image.jpg"},
)

BASE64_UPLOAD = {
    **_json_samples(
        f"{UPLOADS}/api/file-base64-upload",
        "Upload successful",
        {
            "base64Data": f"data:image/png;base64,{PIXEL}",
            "uploadPath": "images",
            "fileName": "base64-image.png",
        },
    ),
    "python with a file": """
import requests
import base64

with open('/path/to/your-file.jpg', 'rb') as f:
    file_data = base64.b64encode(f.read()).decode('utf-8')
    base64_data = f'data:image/jpeg;base64,{file_data}'

url = "https://kieai.redpandaai.co/api/file-base64-upload"
headers = {
    "Authorization": "Bearer YOUR_API_KEY",
    "Content-Type": "application/json"
}

payload = {
    "base64Data": base64_data,
    "uploadPath": "images",
    "fileName": "base64-image.jpg"
}

response = requests.post(url, json=payload, headers=headers)
result = response.json()

print(f"Upload successful: {result}")
""",
}

STREAM_UPLOAD = {
    "curl": """
curl -X POST "https://kieai.redpandaai.co/api/file-stream-upload" \\
  -H "Authorization: Bearer YOUR_API_KEY" \\
  -F "file=@/path/to/your-file.jpg" \\
  -F "uploadPath=images/user-uploads" \\
  -F "fileName=custom-name.jpg"
""",
    "javascript": """
const formData = new FormData();
formData.append('file', fileInput.files[0]);
formData.append('uploadPath', 'images/user-uploads');
formData.append('fileName', 'custom-name.jpg');

const response = await fetch('https://kieai.redpandaai.co/api/file-stream-upload', {
  method: 'POST',
  headers: {
    'Authorization': 'Bearer YOUR_API_KEY'
  },
  body: formData
});

const result = await response.json();
console.log('Upload successful:', result);
""",
    "python": """
import requests

url = "https://kieai.redpandaai.co/api/file-stream-upload"
headers = {
    "Authorization": "Bearer YOUR_API_KEY"
}

files = {
    'file': ('your-file.jpg', open('/path/to/your-file.jpg', 'rb')),
    'uploadPath': (None, 'images/user-uploads'),
    'fileName': (None, 'custom-name.jpg')
}

response = requests.post(url, headers=headers, files=files)
result = response.json()

print(f"Upload successful: {result}")
""",
    "python's batch": """
import os
import requests

def upload_file(file_path, upload_path='', file_name=None):
    files = {
        'file': (os.path.basename(file_path), open(file_path, 'rb'))
    }

    data = {}
    if upload_path:
        data['uploadPath'] = upload_path
    if file_name:
        data['fileName'] = file_name

    response = requests.post(
        'https://kieai.redpandaai.co/api/file-stream-upload',
        headers={'Authorization': 'Bearer YOUR_API_KEY'},
        files=files,
        data=data
    )

    if not response.ok:
        raise Exception(f'Upload failed: {response.text}')

    return response.json()

result = upload_file('/path/to/your-file.jpg', 'images/user-uploads', 'custom-name.jpg')
print(f"Upload successful: {result}")
""",
}

# What the clients of the quickstart send when nobody gives a name; Python spells null in another way.
NAMELESS = {
    language: sample.replace('"none"', "null")
    for language, sample in _json_samples(
        f"{UPLOADS}/api/file-url-upload",
        "Upload successful",
        {"fileUrl": PUBLIC, "uploadPath": "images", "fileName": "none"},
    ).items()
    if language != "python"
}

DOWNLOAD = {
    "javascript": """
import fs from 'node:fs';

async function getDownloadUrl(fileUrl) {
  const response = await fetch(`https://api.kie.ai/api/v1/common/download-url`, {
    method: 'POST',
    headers: {
      'Authorization': `Bearer YOUR_API_KEY`,
      'Content-Type': 'application/json'
    },
    body: JSON.stringify({ url: fileUrl })
  });

  if (!response.ok) {
    throw new Error(`Failed to get download URL: ${response.statusText}`);
  }

  const result = await response.json();
  return result.data;
}

const downloadUrl = await getDownloadUrl('https://tempfile.1f6cxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxbd98');
const response = await fetch(downloadUrl);
const buffer = await response.arrayBuffer();
fs.writeFileSync('./downloads/file-1.mp4', Buffer.from(buffer));
""",
    "python": """
import requests

def get_download_url(file_url):
    response = requests.post(
        'https://api.kie.ai/api/v1/common/download-url',
        headers={'Authorization': 'Bearer YOUR_API_KEY', 'Content-Type': 'application/json'},
        json={'url': file_url}
    )

    if not response.ok:
        raise Exception(f'Failed to get download URL: {response.text}')

    result = response.json()
    return result['data']

download_url = get_download_url('https://tempfile.1f6cxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxbd98')
response = requests.get(download_url)
with open('./downloads/file-1.mp4', 'wb') as f:
    f.write(response.content)
""",
}

BODIES = {
    "base64": ("file-base64-upload", {"base64Data": PIXEL, "uploadPath": "documents/uploads"}),
    "url": ("file-url-upload", {"fileUrl": PUBLIC, "uploadPath": "documents/manuals"}),
}
"""Those examples of the reference pages that nothing above is like."""
