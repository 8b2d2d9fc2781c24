<?php
// write-letter: the first lines of a letter. PHP alone, no library.
//
//     php -S 127.0.0.1:9003 workers/write_letter.php

function answer(int $status, array $body): void
{
    http_response_code($status);
    header('Content-Type: application/json');
    header('Beltline-Worker: write-letter 1.0');
    echo json_encode($body, JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR);
}

// $data['key'] is the same for every attempt: pass it on where the other system takes one.
function write_letter(array $input): array
{
    if (empty($input['name'])) {
        return ['reject' => ['reason' => 'a letter needs a name']];
    }
    $tone = $input['score'] > 5 ? 'Dear' : 'Hello';
    return ['result' => ['text' => "$tone {$input['name']}, we call you at {$input['phone']}."]];
}

if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
    answer(200, ['status' => 'ok']);
    return;
}
$data = json_decode(file_get_contents('php://input'), true, 512, JSON_THROW_ON_ERROR)['data'];
if ($data['module'] !== 'write-letter@1') {
    answer(404, ['reason' => "there is no module {$data['module']} here"]);
    return;
}
answer(200, write_letter($data['input']));
